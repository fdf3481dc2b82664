"""The catalogue: every action there is, by name, with its parameters checked. `app.py` fills it."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from toban.errors import ConfigurationError, InvalidInputError, UnknownActionError
from toban.plugins.action import Action, Parameters, ReadAction, WriteAction


class Catalogue:
    """Actions by name. Reading ones and writing ones cannot be mixed up."""

    def __init__(self, actions: Iterable[Action]) -> None:
        self._actions: dict[str, Action] = {}
        for action in actions:
            if action.spec.name in self._actions:
                raise ConfigurationError([f"two integrations bring an action named {action.spec.name}"])
            self._actions[action.spec.name] = action

    def names(self) -> frozenset[str]:
        """The names of all actions."""
        return frozenset(self._actions)

    def reading(self, name: str) -> ReadAction[Any]:
        """A reading action. Raises UnknownActionError."""
        action = self._actions.get(name)
        if not isinstance(action, ReadAction):
            raise UnknownActionError(f"there is no reading action {name}; is its integration configured?")
        return action

    def writing(self, name: str) -> WriteAction[Any]:
        """A writing action. Raises UnknownActionError."""
        action = self._actions.get(name)
        if not isinstance(action, WriteAction):
            raise UnknownActionError(f"there is no writing action {name}; is its integration configured?")
        return action


def parameters(action: Action, given: Mapping[str, Any]) -> Parameters:
    """The parameters, strictly checked. Raises InvalidInputError naming each wrong one."""
    try:
        checked: Parameters = action.parameters.model_validate(dict(given))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InvalidInputError(f"{action.spec.name}: {told}") from error
    return checked
