"""What holds for every integration as it is declared: found through the registry."""

import subprocess
import sys

import pytest
from pydantic import BaseModel, SecretStr

from toban.plugins import registry

ROLES = {"alert_source", "action_provider"}
SDKS = ("lightkube", "httpx2", "msgspec", "yaml", "stamina")


def test_the_registry_finds_the_integrations_that_ship_with_toban():
    assert {"alertmanager", "kubernetes", "prometheus"} <= set(registry.integrations())


def test_each_provides_known_roles_and_closed_frozen_settings(sample_settings):
    for name, integration in registry.integrations().items():
        assert set(integration.provides) <= ROLES
        assert integration.provides
        assert issubclass(integration.settings, BaseModel)
        with pytest.raises(ValueError, match="surprise"):
            integration.settings.model_validate({**sample_settings[name], "surprise": 1})
        settings = integration.settings.model_validate(sample_settings[name])
        for field in integration.settings.model_fields:
            with pytest.raises(ValueError, match="frozen"):
                setattr(settings, field, None)


def test_tokens_are_secrets(sample_settings):
    for name, integration in registry.integrations().items():
        for field, declared in integration.settings.model_fields.items():
            if "token" in field or "password" in field:
                assert SecretStr in getattr(declared.annotation, "__args__", (declared.annotation,)), f"{name}.{field}"


def test_declaring_an_integration_loads_no_vendor_sdk():
    for name, integration in registry.integrations().items():
        module = integration.settings.__module__
        code = f"import sys, {module}; print(*(sdk for sdk in {SDKS!r} if sdk in sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == "\n", f"{name} loads {done.stdout}"
