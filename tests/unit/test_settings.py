"""Settings: where they come from, and how every mistake is told with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toban import settings
from toban.errors import ConfigurationError
from toban.model.environment import Environment


def load(tmp_path, text=None, **variables):
    named = {"TOBAN_HOME": str(tmp_path / "home")} | variables
    if text is not None:
        (tmp_path / "toban.yaml").write_text(text)
        named["TOBAN_CONFIG"] = str(tmp_path / "toban.yaml")
    return settings.load(named)


def problems(tmp_path, text=None, **variables):
    with pytest.raises(ConfigurationError) as told:
        load(tmp_path, text, **variables)
    return [line.replace(str(tmp_path) + "/", "") for line in told.value.problems]


def test_defaults_listen_on_loopback_and_keep_state_in_the_home_folder(tmp_path):
    loaded = load(tmp_path)
    assert (loaded.http.host, loaded.http.port) == ("127.0.0.1", 8420)
    assert loaded.database_url == f"sqlite:///{tmp_path}/home/toban.db"
    assert loaded.engine_url == f"sqlite:///{tmp_path}/home/engine.db"
    assert loaded.integrations.alertmanager is not None
    assert loaded.integrations.kubernetes is None


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    text = "http:\n  port: 9001\n  host: 127.0.0.2\n"
    loaded = load(tmp_path, text, TOBAN_HTTP__PORT="9002")
    assert (loaded.http.host, loaded.http.port) == ("127.0.0.2", 9002)


def test_a_secret_can_stand_in_a_file_and_is_never_shown(tmp_path):
    (tmp_path / "token").write_text("s3cret-token\n")
    loaded = load(tmp_path, TOBAN_INTEGRATIONS__ALERTMANAGER__TOKEN_FILE=str(tmp_path / "token"))
    assert loaded.integrations.alertmanager.token.get_secret_value() == "s3cret-token"
    assert "s3cret" not in str(settings.shown(loaded))
    assert "s3cret" not in repr(loaded)


def test_every_mistake_of_a_file_is_told_at_once_with_its_line(tmp_path):
    text = (
        "http:\n"
        "  port: ninety\n"
        "  hots: 127.0.0.1\n"
        "workspace:\n"
        "  environments:\n"
        "    shop: moon\n"
        "flow:\n"
        "  verify:\n"
        "    samples: 0\n"
    )
    told = problems(tmp_path, text)
    assert len(told) == 4
    assert any(line.startswith("toban.yaml:2: http.port:") and "'ninety'" in line for line in told)
    assert any(line.startswith("toban.yaml:3: http.hots:") and "did you mean host?" in line for line in told)
    assert any(line.startswith("toban.yaml:6: workspace.environments.shop:") for line in told)
    assert any(line.startswith("toban.yaml:9: flow.verify.samples:") for line in told)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("http: [unclosed\n", "toban.yaml:2:"),
        ("- a list\n", "toban.yaml:1:"),
        ("just words\n", "toban.yaml:1:"),
        ("http:\n  port: 1\nhttp:\n  port: 2\n", "toban.yaml:3:"),
        ("http:\n\tport: 1\n", "toban.yaml:2:"),
        ("a: *nowhere\n", "toban.yaml:1:"),
    ],
)
def test_yaml_that_cannot_be_read_is_told_with_its_line(tmp_path, text, place):
    assert problems(tmp_path, text)[0].startswith(place)


def test_an_empty_file_is_no_mistake(tmp_path):
    assert load(tmp_path, "# nothing yet\n").http.port == 8420


def test_a_wrong_variable_is_told_by_its_name(tmp_path):
    told = problems(tmp_path, TOBAN_HTTP__PORT="x")
    assert told[0].startswith("variable TOBAN_HTTP__PORT:")


def test_a_variable_of_no_group_is_a_mistake(tmp_path):
    assert "TOBAN_HTPP__PORT" in problems(tmp_path, TOBAN_HTPP__PORT="1")[0]


def test_a_secret_in_a_wrong_place_is_not_repeated_in_the_message(tmp_path):
    told = problems(tmp_path, "integrations:\n  alertmanager:\n    token: [hunter2hunter2]\n")
    assert told[0].startswith("toban.yaml:3:")
    assert "hunter2" not in "\n".join(told)


def test_a_configuration_file_that_is_not_there_is_named(tmp_path):
    assert "nowhere.yaml" in problems(tmp_path, TOBAN_CONFIG=str(tmp_path / "nowhere.yaml"))[0]


def test_a_policy_that_would_be_weaker_is_refused_when_it_is_loaded(tmp_path):
    text = "governance:\n  policy:\n    cells:\n      production:\n        MEDIUM_RISK: {approvals: 1}\n"
    told = problems(tmp_path, text)
    assert told[0].startswith("toban.yaml:5: governance.policy.cells.production.MEDIUM_RISK: weaker than the built-in")


def test_environments_of_namespaces_are_typed(tmp_path):
    loaded = load(tmp_path, "workspace:\n  environments: {shop: staging}\n")
    assert loaded.workspace.environments == {"shop": Environment.STAGING}


@given(text=st.text(max_size=120))
def test_no_text_makes_the_loader_fail_otherwise_than_in_words(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("any")
    (folder / "toban.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    told = None
    try:
        settings.load({"TOBAN_CONFIG": str(folder / "toban.yaml"), "TOBAN_HOME": str(folder)})
    except ConfigurationError as error:
        told = error.problems
    assert told is None or told
