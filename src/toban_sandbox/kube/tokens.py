"""Tokens of service accounts: made on request, valid for their time and as long as their account is there.

Used by the API. The key lives as long as the API does, so a reset ends every token.
"""

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import Any

from toban_sandbox.kube import auth, errors, objects, reading, shapes, writing
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

ISSUER = AUDIENCE = "https://kubernetes.default.svc.cluster.local"
DEFAULT_S, SHORTEST_S, LONGEST_S = 3600, 600, 1 << 32
_CLAIM = "kubernetes.io"


class TokenIssuer:
    """Makes and reads signed tokens for the service accounts of one store."""

    def __init__(self, store: stores.ObjectStore) -> None:
        self._store = store
        self._key = secrets.token_bytes(32)

    def answer(self, write: writing.Write) -> tuple[int, Json]:
        """The answered TokenRequest; ApiError 400, 404 or 422."""
        account = reading.found(write.store, write.request)
        given = shapes.check_options(write.body, "authentication_v1", "TokenRequest")
        spec: Json = dict(given.get("spec") or {})
        seconds = spec.get("expirationSeconds")
        seconds = DEFAULT_S if seconds is None else int(seconds)
        _check_duration(seconds)
        spec |= {"audiences": spec.get("audiences") or [AUDIENCE], "expirationSeconds": seconds}
        now = self._store.clock.time()
        token = self._sign(account, spec["audiences"], int(now), int(now) + seconds)
        expires = objects.timestamp(datetime.fromtimestamp(int(now) + seconds, UTC))
        meta = account["metadata"]
        shown: Json = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "creationTimestamp": write.now},
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": expires},
        }
        return writing.CREATED, shown

    def user_of(self, header: str | None) -> auth.User | None:
        """The service account behind an `Authorization` header, or None."""
        scheme, _, token = (header or "").partition(" ")
        parts = token.strip().split(".")
        if scheme.lower() != "bearer" or len(parts) != _PARTS:
            return None
        signed, given = f"{parts[0]}.{parts[1]}", parts[2]
        if not hmac.compare_digest(self._signature(signed).encode(), given.encode()):
            return None
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        about = claims[_CLAIM]
        account = self._store.get("serviceaccounts", about["namespace"], about["serviceaccount"]["name"])
        uid = about["serviceaccount"]["uid"]
        if account is None or account["metadata"]["uid"] != uid or self._store.clock.time() >= claims["exp"]:
            return None
        return auth.service_account(about["namespace"], about["serviceaccount"]["name"], uid=uid)

    def _sign(self, account: Json, audiences: list[str], issued: int, expires: int) -> str:
        meta = account["metadata"]
        about = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
        claims: Json = {"aud": audiences, "exp": expires, "iat": issued, "iss": ISSUER, "nbf": issued, _CLAIM: about}
        claims["sub"] = auth.service_account_name(meta["namespace"], meta["name"])
        signed = f"{_encoded(json.dumps({'alg': 'HS256', 'typ': 'JWT'}))}.{_encoded(json.dumps(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())


_PARTS = 3


def _encoded(content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _check_duration(seconds: int) -> None:
    about = errors.About("tokenrequests", "authentication.k8s.io", "TokenRequest")
    if seconds < SHORTEST_S:
        why = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
    elif seconds > LONGEST_S:
        why = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
    else:
        return
    raise errors.invalid(about, "", [errors.Cause("spec.expirationSeconds", why)])
