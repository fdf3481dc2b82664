"""Finds integrations by entry points. Called by `app.py` and `settings.py`; nobody else loads an integration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from toban.errors import ConfigurationError

GROUP = "toban.integrations"


@dataclass(frozen=True)
class Integration:
    """One product: its name, the settings it takes, and a lazy factory for each role it fills.

    `provides` maps a role's name (`alert_source`, `action_provider`) to a function from the settings to the role.
    `on_by_default`: works with its default settings, so it is there unless switched off with `null`.
    """

    name: str
    settings: type[BaseModel]
    provides: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    on_by_default: bool = False


@cache
def integrations() -> dict[str, Integration]:
    """All installed integrations by name. Raises ConfigurationError where one cannot be loaded."""
    found: dict[str, Integration] = {}
    for point in entry_points(group=GROUP):
        loaded = point.load()
        if not isinstance(loaded, Integration) or loaded.name != point.name:
            raise ConfigurationError([f"entry point {point.name!r} of {GROUP} is not an Integration of that name"])
        found[loaded.name] = loaded
    return dict(sorted(found.items()))
