"""Every installed integration with settings that lead nowhere: what must hold before anything answers."""

import socket

import pytest

from toban.plugins import registry

KUBECONFIG = """\
current-context: nowhere
clusters: [{{name: nowhere, cluster: {{server: "http://{place}"}}}}]
contexts: [{{name: nowhere, context: {{cluster: nowhere}}}}]
"""


@pytest.fixture(scope="session")
def nowhere(tmp_path_factory):
    """Host and port of loopback that nobody listens at; held until the end, so that nobody else takes it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(scope="session")
def sample_settings(nowhere, tmp_path_factory):
    """Settings for each integration by its name, pointing at `nowhere`."""
    kubeconfig = tmp_path_factory.mktemp("conformance") / "kubeconfig.yaml"
    kubeconfig.write_text(KUBECONFIG.format(place=nowhere))
    return {
        "alertmanager": {"token": "a-token-for-tests"},
        "kubernetes": {"kubeconfig": str(kubeconfig), "timeout_s": 2},
        "prometheus": {"url": f"http://{nowhere}", "timeout_s": 2},
    }


def roles(sample_settings, role):
    """`{integration: what it provides for the role}`."""
    found = {}
    for name, integration in registry.integrations().items():
        if role in integration.provides:
            assert name in sample_settings, f"add settings for {name} to `sample_settings` in this file"
            settings = integration.settings.model_validate(sample_settings[name])
            found[name] = integration.provides[role](settings)
    return found


@pytest.fixture
async def actions(sample_settings):
    """Every action of every integration, by its name."""
    providers = roles(sample_settings, "action_provider")
    yield {action.spec.name: action for provider in providers.values() for action in provider.actions()}
    for provider in providers.values():
        await provider.close()


@pytest.fixture
async def offered(sample_settings):
    """`{integration: its actions}`."""
    providers = roles(sample_settings, "action_provider")
    yield {name: list(provider.actions()) for name, provider in providers.items()}
    for provider in providers.values():
        await provider.close()


@pytest.fixture
def sources(sample_settings):
    """Every alert source, by its integration's name."""
    return roles(sample_settings, "alert_source")
