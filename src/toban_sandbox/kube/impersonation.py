"""Acting as somebody else: the `Impersonate-…` headers of a request, and who may use them."""

from starlette.datastructures import Headers

from toban_sandbox.kube import auth, errors, rbac

_USER, _GROUP, _UID = "impersonate-user", "impersonate-group", "impersonate-uid"


def user_for(headers: Headers, user: auth.User, authorizer: rbac.Authorizer) -> auth.User:
    """The user a request acts as: the one who asks, or another whom it may impersonate. ApiError 403 or 500."""
    name, groups, uid = headers.get(_USER, ""), tuple(headers.getlist(_GROUP)), headers.get(_UID, "")
    if not name:
        if groups or uid:
            raise errors.internal("requested impersonation of groups or uid without impersonating a user")
        return user
    for wanted in _questions(name, groups, uid):
        if not authorizer.allows(user, wanted):
            raise auth.refusal(user, wanted)
    if name.startswith(auth.SERVICE_ACCOUNT) and not groups:
        namespace, _, account = name.removeprefix(auth.SERVICE_ACCOUNT).partition(":")
        return auth.service_account(namespace, account, uid=uid)
    return auth.User(name, groups=groups, uid=uid)


def _questions(name: str, groups: tuple[str, ...], uid: str) -> list[auth.Attributes]:
    verb = "impersonate"
    if name.startswith(auth.SERVICE_ACCOUNT):
        namespace, _, account = name.removeprefix(auth.SERVICE_ACCOUNT).partition(":")
        asked = [auth.Attributes(verb, "", "serviceaccounts", namespace=namespace, name=account)]
    else:
        asked = [auth.Attributes(verb, "", "users", name=name)]
    asked += [auth.Attributes(verb, "", "groups", name=group) for group in groups]
    if uid:
        asked.append(auth.Attributes(verb, "authentication.k8s.io", "uids", name=uid))
    return asked
