"""Nobody grants what they do not hold: the check that stands before roles and bindings are written."""

from typing import Any, NamedTuple

from toban_sandbox.kube import auth, errors, kinds
from toban_sandbox.kube.rbac import rules
from toban_sandbox.kube.rbac.authorizer import MASTERS, Authorizer

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
_ROLES = {"Role", "ClusterRole"}
_BINDINGS = {"RoleBinding", "ClusterRoleBinding"}


class Granting(NamedTuple):
    """Somebody who is about to write an object."""

    authorizer: Authorizer
    user: auth.User

    def check(self, kind: kinds.Kind, new: Json, old: Json | None) -> None:
        """ApiError 403 when the object would give rights that its writer does not have, 404 for a role unknown."""
        if kind.group != GROUP or MASTERS in self.user.all_groups:
            return
        if kind.kind in _ROLES:
            if old is None or old.get("rules") != new.get("rules"):
                self._check_rules(kind, new, new.get("rules") or [], verb="escalate")
        elif kind.kind in _BINDINGS and (old is None or _granted(old) != _granted(new)):
            self._check_binding(kind, new)

    def _check_binding(self, kind: kinds.Kind, binding: Json) -> None:
        reference, namespace = binding.get("roleRef") or {}, binding["metadata"].get("namespace", "")
        resource = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        name = str(reference.get("name", ""))
        wanted = auth.Attributes("bind", GROUP, resource, namespace=namespace, name=name)
        if self.authorizer.allows(self.user, wanted):
            return
        granted = self.authorizer.role_rules(reference, namespace)
        if granted is None:
            raise errors.not_found(errors.About(resource, GROUP), name)
        self._check_rules(kind, binding, granted, verb="")

    def _check_rules(self, kind: kinds.Kind, obj: Json, granted: list[Json], *, verb: str) -> None:
        meta = obj["metadata"]
        namespace, name = meta.get("namespace", ""), str(meta.get("name", ""))
        wanted = auth.Attributes(verb, GROUP, kind.resource, namespace=namespace, name=name)
        if verb and self.authorizer.allows(self.user, wanted):
            return
        held = (grant.rule for grant in self.authorizer.grants(self.user, namespace))
        missing = rules.not_covered(granted, held)
        if missing:
            raise errors.forbidden(kind.about, name, self._attempt(missing))

    def _attempt(self, missing: list[Json]) -> str:
        groups = " ".join(f'"{group}"' for group in self.user.all_groups)
        listed = "\n".join(sorted(rules.compact(rule) for rule in missing))
        return (
            f'user "{self.user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            f"{listed}"
        )


def _granted(binding: Json) -> tuple[Any, Any]:
    return binding.get("roleRef"), binding.get("subjects")
