"""Forms that browsers send (`application/x-www-form-urlencoded`), read into models. Called by the page routes."""

from typing import TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from toban.errors import InvalidInputError
from toban.flow.execute import Settlement
from toban.model.approval import Decision

_TYPE = "application/x-www-form-urlencoded"
_FIELDS = 20


class Form(BaseModel):
    """A form with its token; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")

    csrf: str = Field("", max_length=200)


class VoteForm(Form):
    """A vote on the plan whose digest was shown."""

    decision: Decision
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    reason: str = Field("", max_length=2000)


class SettlementForm(Form):
    """How an UNKNOWN change is settled; a person's word needs a reason."""

    decided: Settlement
    reason: str = Field("", max_length=2000)


class SignInForm(Form):
    """Name and password; `onward` is where to go afterwards."""

    name: str = Field(max_length=200)
    password: SecretStr = Field(max_length=1000)
    onward: str = Field("/", max_length=400)


F = TypeVar("F", bound=Form)


async def read(request: Request, kind: type[F]) -> F:
    """The form in the body. Raises InvalidInputError and RequestValidationError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise InvalidInputError(f"send the form as {_TYPE}")
    body = await request.body()
    try:
        fields = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_FIELDS
        )
        names = [name for name, _ in fields]
        if len(set(names)) != len(names):
            raise InvalidInputError("a field is given twice")
        return kind.model_validate(dict(fields))
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False)) from error
    except ValueError as error:
        raise InvalidInputError("the form cannot be read") from error
