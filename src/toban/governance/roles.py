"""What each role may do, as data to read. `governance/access.py` turns roles into the permissions of a context.

A permission without a scope is for Toban's own records; one with `:*` is for objects of a target system, in every
namespace. Nobody but an administrator, who is always a person, holds `*`; reading secrets is in no role at all.
"""

from collections.abc import Iterable

from toban.model.environment import Environment
from toban.model.security import Role

_RECORDS = ("incidents", "alerts", "changes", "services", "runbooks", "lessons", "agents", "reports")

RECORD_READS = tuple(f"{record}.read" for record in _RECORDS)
TARGET_READS = ("objects.read:*", "metrics.read:*", "logs.read:*")
TARGET_WRITES = ("deployments.patch:*", "configmaps.create:*")

_VIEWER = (*RECORD_READS, *(f"{text}:*" for text in RECORD_READS), *TARGET_READS)

ROLE_PERMISSIONS: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: (
        *_VIEWER,
        "incidents.write",
        "alerts.write",
        "changes.propose",
        "changes.cancel",
        "halts.engage",
        *TARGET_WRITES,
    ),
    Role.APPROVER: (
        *_VIEWER,
        "halts.engage",
        "halts.release",
        *(f"approvals.vote:{environment}" for environment in Environment),
    ),
    Role.SERVICE_MANAGER: (
        *_VIEWER,
        "config.read",
        "config.write",
        "services.write",
        "runbooks.write",
        "lessons.write",
        "reports.write",
    ),
    Role.AUDITOR: (*_VIEWER, "audit.read", "audit.export", "config.read", "users.read"),
    Role.ADMINISTRATOR: ("*",),
}

TOBAN_PERMISSIONS = frozenset(
    {
        *_VIEWER,
        "incidents.write",
        "alerts.write",
        "lessons.write",
        "services.write",
        "changes.propose",
        *TARGET_WRITES,
    }
)
"""What Toban itself may do as the requester of planned changes: read, propose, carry out; never vote."""


def permissions_of(roles: Iterable[Role]) -> frozenset[str]:
    """All that the roles together allow."""
    return frozenset(text for role in roles for text in ROLE_PERMISSIONS[role])
