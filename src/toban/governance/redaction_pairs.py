"""Keys with secret values: which keys, which values, and where a value ends in logs, YAML, JSON and diffs.

A part of `governance/redaction.py`, which alone calls it.
"""

import itertools
import re

MASK = "[masked]"
TRIGGERS = ("pass", "pwd", "secret", "token", "key", "credential", "auth", "jwt")
_FLAGS = re.ASCII | re.IGNORECASE
_KEY_LIMIT = 200

_ALWAYS = r"passwords?|passwd|passphrase|passcode|pwd|(?<=[_.\-])pass(?![a-z])"
_OFTEN = (
    r"secret|token|jwt|credentials?|(?<![a-z])auth(?![a-z])"
    r"|(?:api|access|private|signing|encryption|account|master|auth|ssh|integration|license|shared|webhook|app)[_-]?key"
)
_WORD = re.compile(rf"(?P<always>{_ALWAYS})|(?P<often>{_OFTEN})", _FLAGS)
_KEY = re.compile(rf"(?P<word>{_ALWAYS}|{_OFTEN})(?P<suffix>[\w.\-]{{0,40}})", _FLAGS)
_PAIR = re.compile(
    rf"(?P<word>{_ALWAYS}|{_OFTEN})(?P<suffix>[\w.\-]{{0,40}})"
    r"(?P<sep>[\"'\\]{0,4}[ \t]{0,8}(?:=>|:=|=(?!=)|:(?!:|//))[ \t]{0,20})",
    _FLAGS,
)
_HARMLESS_SUFFIX = re.compile(
    r"(?:name|names|refs?|files?|paths?|dir|types?|kind|id|ids|url|uri|endpoints?|hosts?|policy|length|len|size|limit"
    r"|count|num|age|ttl|expir\w*|expires_?in|version|provider|store|class|mount\w*|volumes?|enabled|required"
    r"|requests?|status|state|bucket|budget|usage|mode|alg|algorithm|at|time\w*|rotation|reset|hint|issuer|review)",
    _FLAGS,
)
_LAST_PART = re.compile(r"(?:[_.\-]|(?<=[a-z0-9])(?=[A-Z]))([A-Za-z]+(?:_in)?)$|^([A-Z][a-z]+)$")
_LINE_START = re.compile(r"(?:^|[\r\n])[+\-> \t]*[\"']?[\w.\-]*$", re.ASCII)
_PLACEHOLDER = re.compile(
    r"null|none|nil|true|false|undefined|empty|yes|no|\*+|x{3,}|\.{2,}|…|\$\{[\w.:\-]+\}|\$\([\w.\-]+\)|\$\$?[A-Z_]{2,}"
    r"|\{\{.*\}\}|<[^<>]*>|<set to the key [^<>]*>.*|\[redacted\]|redacted|secret\(…\)"
    r"|\|[+\-]?\d?|>[+\-]?\d?|\[\]|\{\}|[{\[]",
    re.IGNORECASE,
)
_NAME_PARTS = re.compile(r"[-./]")
_NAME_LIMIT = 253
_CODE_NAME = re.compile(r"(?:com|org|net|io|java|javax|android)\.[a-z]+\.|[A-Z][A-Za-z]+\{[0-9a-f]{5,8}\b")
_OPENING = re.compile(r"\\{0,3}[\"']")
_BARE = re.compile(r"(?:(?:bearer|basic|token)[ \t]+)?(?:[^\s,;&\"'`]|,(?!\s|[\w.\-]{1,60}[=:]|$))+", _FLAGS)
_BODY = {'"': re.compile(r'(?:[^"\\\r\n]|\\.)*'), "'": re.compile(r"[^'\r\n]*")}
_LONG, _SHORT_NUMBER = 20, 5


def is_secret_key(key: str) -> bool:
    """Whether a key of this name holds a secret: `DB_PASSWORD` does, `secretName` and `max_tokens` do not."""
    return any(_is_secret(found["word"], found["suffix"]) for found in _KEY.finditer(key[:_KEY_LIMIT]))


def _is_secret(word: str, suffix: str) -> bool:
    suffix = suffix.rstrip(".-_")
    if not suffix:
        return True
    first = suffix[0]
    if first.isalpha() and not (first.isupper() and word[-1].islower()):
        return False  # another word: tokens, secretary, PASSWORDLESS
    last = _LAST_PART.search(suffix)
    part = (last[1] or last[2]) if last else ""
    if part.lower() == "id" and word.lower() == "secret":
        return True  # the half of a machine's sign-in that is called so
    return not (part and _HARMLESS_SUFFIX.fullmatch(part))


def is_secret_value(key: str, value: str) -> bool:
    """Whether `value` under a secret key is the secret itself, not a placeholder, a number or an object's name."""
    stripped = value.strip()
    if not stripped or stripped.startswith(MASK) or _PLACEHOLDER.fullmatch(stripped):
        return False
    word = _WORD.search(key)
    if word and word["always"]:
        return not (word[0].lower() == "pwd" and stripped.startswith("/"))
    if (stripped.isdigit() and len(stripped) <= _SHORT_NUMBER) or _CODE_NAME.match(stripped):
        return False
    return not (key.lower() in {"secret", "credentials"} and _is_object_name(stripped))


def _is_object_name(value: str) -> bool:
    """Whether this is the name of a Secret, such as `shop/db-credentials`, and not its content."""
    parts = _NAME_PARTS.split(value[: _NAME_LIMIT + 1])
    plain = all(part.isascii() and part.isalnum() and part.lower() == part for part in parts)
    short = all(part.isalpha() or len(part) <= _SHORT_NUMBER for part in parts)
    return len(value) <= _NAME_LIMIT and len(parts) > 1 and plain and short


def _looks_secret(value: str) -> bool:
    has_digit = any(character.isdigit() for character in value)
    has_letter = any(character.isalpha() for character in value)
    return len(value) >= _LONG or (len(value) >= len(MASK) and has_digit and has_letter)


# --- key and value in one line ---------------------------------------------------------------------------------------


def mask_pairs(text: str) -> str:
    """Mask `password=x`, `token: x`, `"secret": "x"` and their like."""
    parts: list[str] = []
    position = 0
    for found in _PAIR.finditer(text):
        if found.start() < position or not _is_secret(found["word"], found["suffix"]):
            continue
        start, end = _value_at(text, found)
        if end <= start:
            continue
        parts += [text[position:start], MASK]
        position = end
    return "".join([*parts, text[position:]])


def _value_at(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Where the secret after a key begins and ends; an empty range when there is none."""
    start = found.end()
    key = _whole_key(text, found)
    opening = _OPENING.match(text, start)
    if opening:
        start = opening.end()
        end = _closing(text, opening[0], start)
        return (start, end) if is_secret_value(key, text[start:end]) else (start, start)
    colon = ":" in found["sep"] and "=" not in found["sep"]
    if colon and _begins_line(text, found.start()):
        end = _end_of_line(text, start)
        return (start, end) if is_secret_value(key, text[start:end]) else (start, start)
    bare = _BARE.match(text, start)
    if bare is None:
        return start, start
    value = _without_closing_brackets(bare[0])
    if not is_secret_value(key, value) or (colon and not _told(found, value)):
        return start, start
    return start, start + len(value)


def _told(found: re.Match[str], value: str) -> bool:
    """Whether a value in the middle of prose is meant: "invalid token: expired" tells no secret."""
    word = _WORD.match(found["word"])
    return bool(word and word["always"]) or found["word"].lower() == "pass" or _looks_secret(value)


def _whole_key(text: str, found: re.Match[str]) -> str:
    before = text[max(found.start() - 40, 0) : found.start()]
    prefix = re.search(r"[\w.\-]*$", before, re.ASCII)
    return (prefix[0] if prefix else "") + found["word"] + found["suffix"]


def _begins_line(text: str, position: int) -> bool:
    window = text[max(position - _KEY_LIMIT, 0) : position]
    line = window[max(window.rfind("\n"), window.rfind("\r")) + 1 :]
    if len(line) == _KEY_LIMIT:
        return False
    return bool(_LINE_START.match("\n" + line))


def _end_of_line(text: str, start: int) -> int:
    ends = [end for end in (text.find("\n", start), text.find("\r", start)) if end >= 0]
    return min(ends, default=len(text))


def _closing(text: str, opening: str, start: int) -> int:
    if len(opening) > 1:  # escaped quotes close with the same escape
        end = text.find(opening, start)
        line = _end_of_line(text, start)
        return end if 0 <= end <= line else line
    body = _BODY[opening].match(text, start)
    return body.end() if body else start


def _without_closing_brackets(value: str) -> str:
    for opening, closing in ("()", "[]", "{}"):
        if opening not in value:
            value = value.rstrip(closing)
    return value


# --- key and value in several lines ----------------------------------------------------------------------------------

_BLOCK = re.compile(
    r"^(?P<indent>[+\-]?[ ]*)(?P<key>[\"']?[\w.\-]{1,100}[\"']?):[ \t]*[|>][+\-]?\d?[ \t]*\n"
    r"(?P<body>(?:(?:[+\-]?[ \t]*\n)|(?:[+\- ][ \t]*[^\s].*(?:\n|$)))*)",
    re.ASCII | re.MULTILINE,
)
_NAMED = re.compile(
    r"(?P<name>^[+\-]?[ \t]*(?:- )?(?:name|key):[ \t]*[\"']?(?P<key>[\w.\-]{1,100})[\"']?[ \t]*\n)"
    r"(?P<values>(?:[+\-]?[ \t]*value:[ \t]*.+(?:\n|$)){1,2})",
    re.ASCII | re.MULTILINE,
)
_NAMED_JSON = re.compile(
    r'(?P<before>"(?:name|key)"[ \t\r\n]*:[ \t\r\n]*"(?P<key>[\w.\-]{1,100})"[ \t\r\n]*,[ \t\r\n]*'
    r'"value"[ \t\r\n]*:[ \t\r\n]*")(?P<value>(?:[^"\\]|\\.)*)',
    re.ASCII,
)
_VALUE_LINE = re.compile(r"^([+\-]?[ \t]*value:[ \t]*)([\"']?)(.+?)\2[ \t]*$", re.MULTILINE)


def mask_blocks(text: str) -> str:
    """Mask YAML's texts of several lines under a secret key (`password: |`)."""
    return _BLOCK.sub(_mask_block, text) if "|" in text or ">" in text else text


def _width(line: str) -> int:
    """Indentation without a diff's mark."""
    return len(line) - len(line.lstrip("+- \t")) if line[:1] in "+-" else len(line) - len(line.lstrip(" \t"))


def _mask_block(found: re.Match[str]) -> str:
    if not is_secret_key(found["key"].strip("\"'")):
        return found[0]
    outer = len(found["indent"])
    lines = found["body"].splitlines(keepends=True)
    done: list[str] = []
    inside = True
    for line in lines:
        inside = inside and (not line.strip("+- \t\r\n") or _width(line) > outer)
        content = line.strip("+- \t\r\n") if line[:1] in "+-" else line.strip()
        done.append(line.replace(content, MASK, 1) if inside and content and content != MASK else line)
    return found[0][: found.start("body") - found.start()] + "".join(done)


def mask_named_values(text: str) -> str:
    """Mask environment variables given as a pair of `name` and `value`, in YAML and JSON."""
    text = _NAMED.sub(_mask_named, text)
    return _NAMED_JSON.sub(_mask_named_json, text)


def _mask_named(found: re.Match[str]) -> str:
    key = found["key"]
    if not is_secret_key(key):
        return found[0]

    def one(line: re.Match[str]) -> str:
        return f"{line[1]}{line[2]}{MASK}{line[2]}" if is_secret_value(key, line[3]) else line[0]

    return found["name"] + _VALUE_LINE.sub(one, found["values"])


def _mask_named_json(found: re.Match[str]) -> str:
    hides = is_secret_key(found["key"]) and is_secret_value(found["key"], found["value"])
    return found["before"] + (MASK if hides else found["value"])


# --- Kubernetes Secrets written out ----------------------------------------------------------------------------------

_KIND_YAML = re.compile(r"^[+\-]?[ \t]*(?:- )?kind:[ \t]*[\"']?Secret[\"']?[ \t]*$", re.MULTILINE)
_KIND_JSON = re.compile(r'"kind\\*"[ \t\r\n]*:[ \t\r\n]*\\*"Secret\\*"')
_DOCUMENT = re.compile(r"^[+\- ]?---(?:[ \t].*)?$", re.MULTILINE)
_DATA = re.compile(r"^(?P<indent>[+\-]?[ ]*)(?:- )?(?:data|stringData):[ \t]*(?P<inline>.*)$")
_ENTRY = re.compile(r"^(?P<key>[+\-]?[ ]*[\"']?[\w.\-]+[\"']?:[ \t]*)(?P<value>.*)$", re.ASCII)
_DATA_JSON = re.compile(r'("(?:data|stringData)"[ \t\r\n]*:[ \t\r\n]*)(\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\})')
_ENTRY_JSON = re.compile(r'(:[ \t\r\n]*)"(?:[^"\\]|\\.)*"')
_DATA_ESCAPED = re.compile(
    r'(\\"(?:data|stringData)\\"[ \t]*:[ \t]*)(\{(?:[^{}\\]|\\(?!")|\\"(?:[^\\]|\\(?!"))*\\")*\})'
)
_ENTRY_ESCAPED = re.compile(r'(:[ \t]*)\\"(?:[^\\]|\\(?!"))*\\"')


def mask_secret_manifests(text: str) -> str:
    """Mask all data of Kubernetes Secrets written as YAML, as JSON, as JSON in a text, or as a diff of YAML."""
    if _KIND_YAML.search(text):
        starts = [0, *(found.start() for found in _DOCUMENT.finditer(text)), len(text)]
        documents = [text[one:two] for one, two in itertools.pairwise(starts)]
        text = "".join(_mask_manifest(one) if _KIND_YAML.search(one) else one for one in documents)
    if _KIND_JSON.search(text):
        text = _DATA_JSON.sub(lambda found: found[1] + _ENTRY_JSON.sub(rf'\1"{MASK}"', found[2]), text)
        text = _DATA_ESCAPED.sub(lambda found: found[1] + _ENTRY_ESCAPED.sub(rf'\1\\"{MASK}\\"', found[2]), text)
    return text


def _mask_manifest(document: str) -> str:
    done: list[str] = []
    outer: int | None = None
    for line in document.splitlines(keepends=True):
        body = line.rstrip("\r\n")
        ending = line[len(body) :]
        data = _DATA.match(body)
        if outer is not None and body.strip("+- \t") and _width(body) > outer:
            body = _mask_entry(body)
        elif data:
            outer = len(data["indent"])
            if data["inline"] and data["inline"] not in {"{}", "null", MASK}:
                body = body[: data.start("inline")] + MASK
        elif body.strip("+- \t"):
            outer = None
        done.append(body + ending)
    return "".join(done)


def _mask_entry(body: str) -> str:
    entry = _ENTRY.match(body)
    if entry:
        keeps = entry["value"] in {"", MASK, '""', "''"} or _PLACEHOLDER.fullmatch(entry["value"]) is not None
        return body if keeps and not entry["value"].isalpha() else entry["key"] + MASK
    content = body.lstrip("+- \t")
    return body[: len(body) - len(content)] + MASK
