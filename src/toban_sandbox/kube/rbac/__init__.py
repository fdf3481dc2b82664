"""Permissions out of the cluster's own Role and Binding objects: what users may do, and what they may grant.

Used by the API for every request and by the access reviews. The objects a cluster starts with are made by `seed`.
"""

from toban_sandbox.kube.rbac.authorizer import Authorizer, Decision, Grant
from toban_sandbox.kube.rbac.escalation import Granting
from toban_sandbox.kube.rbac.upkeep import seed

__all__ = ["Authorizer", "Decision", "Grant", "Granting", "seed"]
