"""What each role may do, and above all what it may not."""

import pytest

from toban.governance.roles import ROLE_PERMISSIONS, TOBAN_PERMISSIONS, permissions_of
from toban.model.environment import Environment
from toban.model.security import Permission, Role, allows

READS = ("objects.read:shop", "metrics.read:cluster", "logs.read:shop", "incidents.read", "incidents.read:shop")
NOT_ADMINISTRATORS = [role for role in Role if role is not Role.ADMINISTRATOR]


def test_every_role_has_its_permissions_and_each_is_well_formed():
    assert set(ROLE_PERMISSIONS) == set(Role)
    for text in [*permissions_of(Role), *TOBAN_PERMISSIONS]:
        assert Permission.parse(text)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("needed", READS)
def test_every_role_reads_what_a_viewer_reads(role, needed):
    assert allows(permissions_of([role]), needed)


@pytest.mark.parametrize("role", NOT_ADMINISTRATORS)
@pytest.mark.parametrize("needed", ["secrets.read:shop", "users.write", "objects.delete:shop", "anything.else"])
def test_no_role_but_the_administrator_reads_secrets_or_manages_people(role, needed):
    assert not allows(permissions_of([role]), needed)
    assert allows(permissions_of([Role.ADMINISTRATOR]), needed)


@pytest.mark.parametrize("environment", list(Environment))
def test_only_approvers_and_administrators_vote(environment):
    needed = f"approvals.vote:{environment}"
    voters = {role for role in Role if allows(permissions_of([role]), needed)}
    assert voters == {Role.APPROVER, Role.ADMINISTRATOR}


@pytest.mark.parametrize("needed", ["deployments.patch:shop", "configmaps.create:shop", "changes.propose"])
def test_only_operators_and_administrators_ask_for_changes(needed):
    assert {role for role in Role if allows(permissions_of([role]), needed)} == {Role.OPERATOR, Role.ADMINISTRATOR}


def test_toban_reads_proposes_and_patches_but_never_votes_releases_or_reads_the_audit():
    assert all(allows(TOBAN_PERMISSIONS, needed) for needed in (*READS, "changes.propose", "deployments.patch:shop"))
    for needed in ("approvals.vote:development", "halts.release", "audit.read", "users.write", "config.write"):
        assert not allows(TOBAN_PERMISSIONS, needed)
    assert "*" not in TOBAN_PERMISSIONS


def test_roles_add_up():
    both = permissions_of([Role.OPERATOR, Role.AUDITOR])
    assert both == permissions_of([Role.OPERATOR]) | permissions_of([Role.AUDITOR])
    assert permissions_of([]) == frozenset()
