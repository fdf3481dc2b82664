"""What holds for every alert source of every integration: found through the registry."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toban.errors import MappingError
from toban.model.alert import AlertEvent

ROUNDS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_there_is_a_source(sources):
    assert sources


@ROUNDS
@given(body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_whatever_arrives_gives_alerts_or_names_the_wrong_field(sources, body):
    for source in sources.values():
        try:
            found = source.parse(body)
        except MappingError as error:
            assert error.field in error.message or error.field == "body"  # noqa: PT017 - either outcome is allowed
            continue
        assert all(isinstance(event, AlertEvent) for event in found)


@ROUNDS
@given(
    headers=st.dictionaries(st.sampled_from(["authorization", "x-signature"]), st.text(max_size=40)),
    body=st.binary(max_size=50),
)
def test_a_stranger_is_not_let_in_and_nothing_breaks(sources, headers, body):
    for source in sources.values():
        assert source.authenticate(headers, body) is False


@pytest.mark.parametrize("name", ["authorization"])
def test_the_configured_token_lets_in(sources, sample_settings, name):
    for integration, source in sources.items():
        token = sample_settings[integration]["token"]
        assert source.authenticate({name: f"Bearer {token}"}, b"") is True
        assert source.authenticate({name: f"Bearer {token}x"}, b"") is False
