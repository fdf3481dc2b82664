"""Options that several commands share, with one wording."""

from typing import Annotated, Literal

from cyclopts import Parameter

Format = Literal["table", "wide", "json", "yaml", "name"]
Lang = Literal["en", "ja"]

Output = Annotated[Format, Parameter(name=["--output", "-o"], help="Form of the result.")]
Language = Annotated[Lang | None, Parameter(name="--lang", help="Language (else TOBAN_LANG, else en).")]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")]
