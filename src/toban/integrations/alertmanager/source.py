"""The alert source: who may post, and what a delivery says. Built by the registry's factory, called by the hooks.

It stores nothing and asks Alertmanager nothing.
"""

import hmac
from collections.abc import Mapping

from toban.integrations.alertmanager import Settings, payload
from toban.model.alert import AlertEvent

_SCHEME = "bearer "


class AlertmanagerSource:
    """Bearer token in, alerts out."""

    def __init__(self, settings: Settings) -> None:
        present = (settings.token, settings.token_previous)
        self._tokens = tuple(token.get_secret_value().encode() for token in present if token is not None)

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> bool:  # noqa: ARG002 - a bearer signs no body
        """Whether the bearer token is ours; without a configured token everybody is let in.

        The HTTP layer refuses to listen beyond loopback as long as no token is configured.
        """
        if not self._tokens:
            return True
        sent = headers.get("authorization", "")
        known_scheme = sent[: len(_SCHEME)].lower() == _SCHEME
        token = sent[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass")
        # Every token is compared, so that the time taken does not tell which one was nearly right.
        matches = [hmac.compare_digest(token, own) for own in self._tokens]
        return known_scheme and any(matches)

    def parse(self, body: bytes) -> tuple[AlertEvent, ...]:
        """The alerts of one webhook payload, version 4. Raises MappingError naming the field that is wrong."""
        return payload.parse(body)
