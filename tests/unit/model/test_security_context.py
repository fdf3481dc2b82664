"""A security context keeps its token to itself and can only become narrower."""

import copy
import dataclasses
import json
import logging
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toban.errors import InvalidInputError, PermissionDeniedError
from toban.model.environment import Environment
from toban.model.security import PrincipalType, Secret, SecurityContext, allows, for_agent, log_fields

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TOKEN = "tbn_very-secret-indeed"
GRANTS = [
    "pods.read:*", "pods.read:shop", "pods.*:shop", "*.read:shop", "pods.delete:*", "!pods.delete:shop", "!pods.read",
    "logs.read", "logs.read:c1/*", "*", "!logs.*:c1/shop", "*.*:bank",
]  # fmt: skip
NEEDS = [
    f"{resource}.{verb}{scope}"
    for resource in ("pods", "logs")
    for verb in ("read", "delete")
    for scope in ("", ":shop", ":bank", ":c1/shop", ":c1/bank", ":a/b/c")
]


def context(*permissions, **fields):
    values = {"user_id": "ana", "workspace": "default", "principal": PrincipalType.HUMAN, "token": Secret(TOKEN)}
    return SecurityContext(permissions=frozenset(permissions), **values | fields)


# --- the token -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, lambda one: f"{one}", "{!s}".format])
def test_no_way_of_printing_shows_the_token(show):
    assert TOKEN not in show(context())
    assert TOKEN not in show(Secret(TOKEN))
    assert TOKEN not in show([Secret(TOKEN)])
    assert TOKEN not in show({"context": context()})


def test_no_log_line_shows_the_token(caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r", context(), Secret(TOKEN))
    assert TOKEN not in caplog.text
    assert TOKEN not in str(log_fields(context("pods.read:shop")))


def test_log_fields_are_ids_and_never_permissions():
    fields = log_fields(context("pods.read:shop", session_id="S-1", request_id="r-1"))
    assert fields == {"user": "ana", "workspace": "default", "session": "S-1", "request": "r-1"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("make", [context, lambda: context(token=None), lambda: Secret(TOKEN)])
def test_neither_context_nor_secret_can_be_pickled(make, protocol):
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(make(), protocol=protocol)


@pytest.mark.parametrize(
    "dump",
    [json.dumps, dataclasses.asdict, dataclasses.astuple, copy.deepcopy, copy.copy],
    ids=["json", "asdict", "astuple", "deepcopy", "copy"],
)
def test_a_context_cannot_be_dumped_or_copied_whole(dump):
    with pytest.raises(TypeError):
        dump(context())


def test_a_json_dump_that_falls_back_to_text_shows_no_token():
    assert TOKEN not in json.dumps({"token": Secret(TOKEN), "context": context()}, default=str)


def test_a_secret_has_no_dictionary_and_equals_only_itself():
    secret = Secret(TOKEN)
    assert not hasattr(secret, "__dict__")
    assert secret == secret  # noqa: PLR0124 - identity is what is tested
    assert secret != Secret(TOKEN)
    assert secret != TOKEN
    assert secret.reveal() == TOKEN


def test_an_empty_secret_is_false():
    assert not Secret("")
    assert Secret("x")


def test_a_context_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        context().permissions = frozenset({"*"})


# --- narrowing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("principal", [PrincipalType.SERVICE, PrincipalType.AGENT])
def test_the_bare_star_is_for_people_only(principal):
    with pytest.raises(InvalidInputError, match="bare permission"):
        context("*", principal=principal)


@given(held=st.sets(st.sampled_from(GRANTS)), wanted=st.none() | st.sets(st.sampled_from(GRANTS)))
def test_attenuating_permissions_never_adds_one(held, wanted):
    before = context(*held)
    after = before.attenuate(permissions=wanted)
    for needed in NEEDS:
        for scoped in (True, False):
            assert before.may(needed, scoped=scoped) or not after.may(needed, scoped=scoped), (needed, scoped)


@given(held=st.sets(st.sampled_from(GRANTS)), wanted=st.sets(st.sampled_from(GRANTS)))
def test_attenuating_gives_no_more_than_was_asked_for(held, wanted):
    after = context(*held).attenuate(permissions=wanted)
    for needed in NEEDS:
        assert allows(wanted, needed) or not after.may(needed)


@given(held=st.sets(st.sampled_from(GRANTS)))
def test_denials_survive_every_attenuation(held):
    after = context(*held).attenuate(permissions=["pods.read:*", "pods.delete:*", "logs.read:c1/*"])
    assert {text for text in held if text.startswith("!")} <= after.permissions


@pytest.mark.parametrize("wider", ["*", "*.*:*", "pods.*:shop", "pods.read:*", "*.read:shop", "pods.read"])
def test_a_wider_permission_than_the_own_is_dropped(wider):
    assert context("pods.read:shop").attenuate(permissions=[wider]).permissions == frozenset()


@given(
    held=st.sets(st.sampled_from(Environment)),
    wanted=st.none() | st.sets(st.sampled_from(Environment)),
)
def test_attenuating_environments_never_adds_one(held, wanted):
    after = context(environments=frozenset(held)).attenuate(environments=wanted)
    assert after.environments <= held
    assert wanted is None or after.environments <= wanted


@given(held=st.none() | st.integers(-60, 60), wanted=st.none() | st.integers(-60, 60))
def test_attenuating_the_expiry_never_makes_it_later(held, wanted):
    times = [None if minutes is None else NOW + timedelta(minutes=minutes) for minutes in (held, wanted)]
    after = context(expires_at=times[0]).attenuate(expires_at=times[1])
    assert after.expires_at == min((time for time in times if time), default=None)


def test_all_verbs_in_one_segment_do_not_become_the_bare_star():
    assert context("*.*:*").attenuate(permissions=["*"]).permissions == frozenset()


def test_attenuating_nothing_changes_nothing():
    before = context("pods.read:shop", "!pods.read:bank")
    assert before.attenuate() == before


# --- agents ----------------------------------------------------------------------------------------------------------


def test_an_agent_acts_for_its_asker_for_fifteen_minutes_without_the_token():
    agent = for_agent("diagnostic", context("pods.read:*", request_id="r-1"), ["pods.read:shop"], NOW)
    assert (agent.user_id, agent.principal, agent.token) == ("diagnostic", PrincipalType.AGENT, None)
    assert (agent.delegation, agent.request_id) == (("ana",), "r-1")
    assert agent.permissions == {"pods.read:shop"}
    assert agent.expires_at == NOW + timedelta(minutes=15)


def test_an_agent_outlives_neither_its_asker_nor_the_chain_of_those_it_acts_for():
    soon = NOW + timedelta(minutes=3)
    first = for_agent("chat", context("pods.read:shop", expires_at=soon), ["pods.read:shop"], NOW)
    second = for_agent("debugging", first, ["pods.read:shop", "pods.delete:shop"], NOW)
    assert (second.expires_at, second.delegation) == (soon, ("ana", "chat"))
    assert second.permissions == {"pods.read:shop"}


def test_an_administrators_agent_holds_no_bare_star():
    agent = for_agent("chat", context("*"), ["*", "pods.read:shop"], NOW)
    assert agent.permissions == {"pods.read:shop"}


def test_demanding_names_the_permission_that_is_missing():
    context("pods.read:shop").demand("pods.read:shop")
    with pytest.raises(PermissionDeniedError, match=r"pods\.delete:shop"):
        context("pods.read:shop").demand("pods.delete:shop")
