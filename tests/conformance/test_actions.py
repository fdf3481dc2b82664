"""What holds for every action of every integration, whatever it does: found through the registry."""

import asyncio
import inspect
import json
import re

import pytest

from toban.errors import OutcomeUnknownError, OutsideGateError, UpstreamError
from toban.kit import canonical
from toban.model.action import Probe, ProbeResult, Target
from toban.model.risk import RiskLevel
from toban.model.security import Permission
from toban.model.service import ObjectRef
from toban.model.verification import CheckResult
from toban.plugins.action import Parameters, ReadAction, WriteAction, gate_open

NAMED = {"namespace": "shop", "name": "cart"}
SAMPLES = {
    "kubernetes.inventory": {"namespace": "shop"},
    "kubernetes.namespaces": {},
    "kubernetes.pod_logs": {"namespace": "shop", "pod": "cart-1", "container": "app"},
    "kubernetes.restart_rollout": NAMED,
    "kubernetes.restore_configmap": {**NAMED, "data": {"a": "b"}},
    "kubernetes.rollback_deployment": NAMED,
    "kubernetes.set_memory_limit": {**NAMED, "container": "app", "limit": "256Mi"},
    "prometheus.query": {"expr": "up"},
    "prometheus.query_range": {
        "expr": "up",
        "start": "2026-11-21T03:00:00Z",
        "end": "2026-11-21T04:00:00Z",
        "step_s": 15,
    },
    "prometheus.rule_state": {"alert_name": "Down"},
}
TARGETS = (
    Target(ref=ObjectRef(kind="Thing", namespace="shop", name="cart"), uid="u", spec_hash="h", resource_version="1"),
)
LIMIT_S = 10
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def parameters(action):
    return action.parameters(**SAMPLES[action.spec.name])


def writes(actions):
    found = [action for action in actions.values() if isinstance(action, WriteAction)]
    assert found
    return found


def calls(action):
    """Every guarded call of an action, as `{method: coroutine function without arguments}`."""
    params = parameters(action)
    if isinstance(action, ReadAction):
        return {"read": lambda: action.read(params)}
    return {
        "permitted": lambda: action.permitted(params),
        "targets": lambda: action.targets(params),
        "dry_run": lambda: action.dry_run(params, TARGETS),
        "run": lambda: action.run(params, TARGETS, "RUN-0001.1"),
        "probe": lambda: action.probe(params, TARGETS, "RUN-0001.1"),
        "check": lambda: action.check(params, TARGETS),
        "undo": lambda: action.undo(params, TARGETS),
    }


def test_every_action_has_sample_parameters_here(actions):
    assert set(SAMPLES) == set(actions), "add sample parameters to SAMPLES for each new action"


def test_names_are_unique_and_begin_with_the_integration(offered):
    names = [(integration, action.spec.name) for integration, found in offered.items() for action in found]
    assert len({name for _, name in names}) == len(names)
    for integration, name in names:
        assert re.fullmatch(rf"{integration}\.[a-z][a-z0-9_]*", name)


def test_each_action_says_what_it_does_in_both_languages(actions):
    for action in actions.values():
        assert 10 <= len(action.spec.summary) <= 100
        assert JAPANESE.search(action.spec.summary_ja)
        assert not JAPANESE.search(action.spec.summary)


def test_permissions_are_a_resource_and_a_verb_and_get_their_scope_from_the_parameters(actions):
    for action in actions.values():
        permission = Permission.parse(f"{action.spec.permission}:{action.scope(parameters(action))}")
        assert (permission.deny, "*" in action.spec.permission) == (False, False)
        assert permission.scope == SAMPLES[action.spec.name].get("namespace", "cluster")
        assert Permission.parse(action.spec.permission).scope is None


def test_reading_is_read_only_and_writing_never_is(actions):
    for action in actions.values():
        assert (action.spec.risk is RiskLevel.READ_ONLY) == isinstance(action, ReadAction)
        assert action.spec.version >= 1


def test_parameters_are_strict_frozen_and_closed(actions):
    for action in actions.values():
        assert issubclass(action.parameters, Parameters)
        params = parameters(action)
        with pytest.raises(ValueError, match="Extra inputs"):
            action.parameters(**SAMPLES[action.spec.name], surprise=1)
        for field in SAMPLES[action.spec.name]:
            with pytest.raises(ValueError, match="frozen"):
                setattr(params, field, None)
            with pytest.raises(ValueError, match=field):
                action.parameters(**{**SAMPLES[action.spec.name], field: object()})


def test_parameters_survive_the_way_through_json(actions):
    for action in actions.values():
        params = parameters(action)
        stored = json.loads(canonical.encode(params))
        assert action.parameters(**stored) == params


def test_names_in_parameters_cannot_lead_elsewhere(actions):
    for action in actions.values():
        for field in {"namespace", "name", "pod", "container"} & set(SAMPLES[action.spec.name]):
            for trick in ("..", "a/b", "a?b=c", "a#b", "a b", "a\n", "%2e%2e", "", "ａ"):
                with pytest.raises(ValueError, match=field):
                    action.parameters(**{**SAMPLES[action.spec.name], field: trick})


async def test_no_action_can_be_called_from_outside_the_gate(actions):
    for action in actions.values():
        for method, call in calls(action).items():
            with pytest.raises(OutsideGateError, match=method):
                await call()


def test_the_methods_called_here_are_all_that_an_action_guards(actions):
    for action in actions.values():
        guarded = ReadAction._methods if isinstance(action, ReadAction) else WriteAction._methods
        assert set(calls(action)) == guarded
        assert all(inspect.iscoroutinefunction(inspect.unwrap(getattr(action, name))) for name in guarded)


async def test_an_unreachable_system_is_an_upstream_error_that_names_it(actions, nowhere):
    async def fails(call):
        with pytest.raises(UpstreamError, match=nowhere) as caught:
            await asyncio.wait_for(call(), LIMIT_S)
        assert not isinstance(caught.value, OutcomeUnknownError), "nothing was sent, so nothing is unknown"
        assert caught.value.retry_after is not None

    tried = [
        call
        for action in actions.values()
        for method, call in calls(action).items()
        if method not in {"probe", "check"} and (method != "undo" or action.spec.reversible)
    ]
    with gate_open():
        await asyncio.gather(*map(fails, tried))


async def test_what_cannot_be_read_back_is_unknown_and_no_data_is_inconclusive(actions):
    async def tells(action):
        probe = await asyncio.wait_for(action.probe(parameters(action), TARGETS, "RUN-0001.1"), LIMIT_S)
        check = await asyncio.wait_for(action.check(parameters(action), TARGETS), LIMIT_S)
        assert isinstance(probe, Probe)
        assert (probe.result, bool(probe.detail)) == (ProbeResult.UNKNOWN, True)
        assert (check.result, check.kind, check.good_samples) == (CheckResult.INCONCLUSIVE, "object", 0)
        assert check.detail

    with gate_open():
        await asyncio.gather(*map(tells, writes(actions)))


async def test_a_handler_digest_is_stable_and_its_own(actions, offered):
    digests = {action.spec.name: action.handler_digest() for action in writes(actions)}
    again = [action for found in offered.values() for action in found if isinstance(action, WriteAction)]
    assert digests == {action.spec.name: action.handler_digest() for action in again}
    assert len(set(digests.values())) == len(digests)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests.values())
