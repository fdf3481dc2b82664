"""Secrets taken out of text and JSON before they are stored, shown, logged or sent to a model.

Used by the Gate, the audit and whatever leaves the house. Names of keys stay, values become `[masked]`; masking twice
changes nothing. It knows forms of secrets, not their values: what looks like ordinary text stays. Every pattern takes
time in proportion to the text. Personal data is not its business.
"""

import re
from collections.abc import Callable
from typing import Any

from toban.governance import redaction_pairs as pairs
from toban.governance.redaction_pairs import MASK

_ASCII = re.ASCII | re.IGNORECASE
_DEPTH_LIMIT = 100
_PASSES = 5

_PEM = re.compile(r"-----(?P<end>BEGIN|END) (?P<kind>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----")
_PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s\\:,.\-]|(?<=\n)[+ ])*")

_SHAPES = re.compile(
    r"\b(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[a-z]-[\w-]{10,}|xapp-\d-[\w-]{10,}"
    r"|AIza[\w-]{30,}|ya29\.[\w-]{20,}"
    r"|[sr]k_(?:live|test)_\w{10,}"
    r"|sk-(?=[\w-]{0,200}[A-Z])(?=[\w-]{0,200}\d)[\w-]{24,}"
    r"|hv[sbr]\.[\w-]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|dop_v1_[a-f0-9]{40,}|tbn_[\w-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}"
    r"|LS0tLS1CRUdJTiB(?:QUklW|SU0Eg|FQyBQ|PUEVO|FTkNS)[\w+/=]+"  # "-----BEGIN … PRIVATE" in base64
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)+"
    r")",
    re.ASCII,
)
_SLACK_HOOK = re.compile(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[\w/-]+", re.ASCII)
_BEARER = re.compile(r"(\bbearer[ \t]+)(?=[\w.~+/-]{0,100}\d)[\w.~+/=-]{16,}", _ASCII)
_BASIC = re.compile(r"(\bbasic[ \t]+)(?=[\w+/]{0,100}[\d=])(?-i:(?=[\w+/]{0,100}[A-Z]))[\w+/]{12,}={0,2}", _ASCII)
_SCHEME = re.compile(
    r"(\bauthorization[\"'\\]{0,4}[ \t]*[:=][ \t]*[\"'\\]{0,4}"
    r"(?:basic|bearer|token|negotiate|apikey|api-key|bot|splunk|key|genie[kK]ey)[ \t]+)[^\s\"'\\]+",
    _ASCII,
)
_SIGNED = re.compile(
    r"(\bauthorization[\"'\\]{0,4}[ \t]*[:=][ \t]*[\"'\\]{0,4}(?:digest|hawk|aws4-hmac-sha256)[ \t]+)[^\r\n]+", _ASCII
)
_PLAIN = re.compile(
    r"(\bauthorization[\"'\\]{0,4}[ \t]*[:=][ \t]*[\"'\\]{0,4})(?!aws4-hmac|digest|hawk)"
    r"(?=[\w.~+/-]{0,100}\d)[\w.~+/=-]{16,}",
    _ASCII,
)
_COOKIE = re.compile(
    r"(\b(?:set-)?cookie[\"'\\]{0,4}[ \t]*[:=][ \t]*[\"'\\]{0,4})(?=[^\r\n\"'\\]{0,200}=)[^\r\n\"'\\]+", _ASCII
)
_URL_PASSWORD = re.compile(
    r"(://[^\s:/@\"'<>]{0,100}:)(?!\d{1,5}(?:[/?#]|$))(?!\[masked\]@)[^\s\"'<>]{1,256}(?=@[^\s@\"'<>])", _ASCII
)
_URL_TOKEN = re.compile(r"(://)(?=[\w-]{0,100}\d)[\w-]{20,100}(?=@)", _ASCII)
_URL_SIGNATURE = re.compile(r"([?&](?:x-(?:amz|goog)-)?(?:sig|signature|credential)=)[^&\s\"'<>\[]+", _ASCII)
_FLAG = re.compile(
    r"(?<![-\w])(--[a-z][\w-]{0,40}?(?:password|passwd|passphrase|token|secret|api-?key)[ \t]+)"
    r"(?:\"[^\"\n]+\"|'[^'\n]+'|[^\s\"'\-\[][^\s\"']*)",
    _ASCII,
)
_FLAG_SHORT = re.compile(
    r"(?<![-\w])(--(?:password|passwd|passphrase|token|secret|api-?key)[ \t]+)"
    r"(?:\"[^\"\n]+\"|'[^'\n]+'|[^\s\"'\-\[][^\s\"']*)",
    _ASCII,
)
_USER_FLAG = re.compile(r"((?<=\s)(?:-u|--user)[ =][\"']?[^\s:\"']{1,100}:)(?!\d+(?:\s|$))[^\s\"'\[]+", _ASCII)
_SQL = re.compile(r"(\bidentified[ \t]+by[ \t]+[\"'])[^\"'\n]+", _ASCII)
_REQUIREPASS = re.compile(r"(\brequirepass[ \t]+[\"']?)[^\s\"']+", _ASCII)


def _keep_first(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda text: pattern.sub(rf"\g<1>{MASK}", text)


def _mask_private_keys(text: str) -> str:
    parts: list[str] = []
    position = 0
    begun: re.Match[str] | None = None
    for marker in _PEM.finditer(text):
        if marker["end"] == "BEGIN":
            if begun is not None:
                parts.append(_unended(text[begun.end() : marker.start()]))
            else:
                parts.append(text[position : marker.start()])
            parts.append(marker[0])
            begun = marker
        elif begun is not None:
            parts += [_between(text[begun.end() : marker.start()]), marker[0]]
            begun = None
        else:
            parts.append(text[position : marker.end()])
        position = marker.end()
    if begun is not None:
        parts.append(_unended(text[begun.end() :]))
    else:
        parts.append(text[position:])
    return "".join(parts)


def _between(body: str) -> str:
    if "\n" not in body:
        return MASK
    last = body[body.rfind("\n") :]  # the indentation or diff mark of the END line stays
    return f"\n{MASK}{last}" if not last.strip(" +-\t\n") else f"\n{MASK}\n"


def _unended(rest: str) -> str:
    body = _PEM_BODY.match(rest)
    taken = body.end() if body else 0
    if not rest[:taken].strip() or rest.strip().startswith(MASK):
        return rest
    return f"\n{MASK}\n{rest[taken:]}" if rest[taken:] else f"\n{MASK}"


_RULES: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("private key",), _mask_private_keys),
    (("secret",), pairs.mask_secret_manifests),
    (("value",), pairs.mask_named_values),
    (("authorization",), _keep_first(_SCHEME)),
    (("authorization",), _keep_first(_SIGNED)),
    (("authorization",), _keep_first(_PLAIN)),
    (("cookie",), _keep_first(_COOKIE)),
    (pairs.TRIGGERS, pairs.mask_blocks),
    (pairs.TRIGGERS, pairs.mask_pairs),
    (("--",), _keep_first(_FLAG_SHORT)),
    (("--",), _keep_first(_FLAG)),
    (("-u", "--user"), _keep_first(_USER_FLAG)),
    (("identified",), _keep_first(_SQL)),
    (("requirepass",), _keep_first(_REQUIREPASS)),
    (("://",), _keep_first(_URL_PASSWORD)),
    (("://",), _keep_first(_URL_TOKEN)),
    (("sig", "credential"), _keep_first(_URL_SIGNATURE)),
    (("hooks.slack.com",), _keep_first(_SLACK_HOOK)),
    (("bearer",), _keep_first(_BEARER)),
    (("basic",), _keep_first(_BASIC)),
    (("-", "_", ".", "akia", "asia", "aiza", "ls0tls1c"), lambda text: _SHAPES.sub(MASK, text)),
)


def mask(text: str) -> str:
    """`text` with the values of secrets replaced by `[masked]`."""
    for _ in range(_PASSES):  # what stands around a secret can look like one only after it was masked
        masked = _mask_once(text)
        if masked == text:
            break
        text = masked
    return text


def _mask_once(text: str) -> str:
    lowered = text.lower()
    for triggers, rule in _RULES:
        if any(trigger in lowered for trigger in triggers):
            text = rule(text)
    return text


def mask_tree(value: Any, *, _depth: int = 0) -> Any:
    """JSON data with the values of secrets replaced: by their keys, in Kubernetes Secrets, and inside texts.

    What is nested deeper than 100 levels is masked whole.
    """
    if isinstance(value, str):
        return mask(value)
    if _depth > _DEPTH_LIMIT:
        return MASK
    if isinstance(value, (list, tuple)):
        return [mask_tree(item, _depth=_depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _mask_item(key, item, value, _depth) for key, item in value.items()}
    return value


def _mask_item(key: Any, item: Any, around: dict[Any, Any], depth: int) -> Any:
    if around.get("kind") == "Secret" and key in {"data", "stringData"}:
        return _mask_all(item)
    if around.get("kind") == "SecretList" and key == "items" and isinstance(item, list):
        return [mask_tree({"kind": "Secret"} | one if isinstance(one, dict) else one, _depth=depth + 1) for one in item]
    name = str(around.get("name") or around.get("key") or "") if key == "value" else str(key)
    if pairs.is_secret_key(name):
        if isinstance(item, str):
            return MASK if pairs.is_secret_value(name, item) else mask(item)
        if isinstance(item, (list, tuple)) and all(isinstance(one, str) for one in item):
            return [MASK if pairs.is_secret_value(name, one) else mask(one) for one in item]
    return mask_tree(item, _depth=depth + 1)


def _mask_all(value: Any) -> Any:
    if isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    return MASK if value else value
