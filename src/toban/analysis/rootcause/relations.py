"""What a finding means for a candidate: the observations that `weights` gives a number to.

Called by `scoring` for every pair. A finding observes itself (its code) where it is about the same thing, and relations
where two findings together say more than each alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from toban.analysis import quantity
from toban.analysis.rootcause import weights
from toban.analysis.rootcause.candidates import Candidate
from toban.analysis.rootcause.situation import SYMPTOMS, TROUBLES, Situation, same_workload
from toban.model.finding import Finding

_SKEW = timedelta(seconds=10)  # clocks of different systems differ a little
_LATE = timedelta(minutes=2)
_CRASHES = ("container.crash_loop", "container.liveness_failed")
_WRONG = TROUBLES | {"log.env_missing", "metric.restarts", "metric.memory_near_limit"}
_OOM = ("container.oom_killed", "container.killed")


@dataclass(frozen=True)
class Observation:
    """A key of the weights' table, the finding that it rests on, and how much of the weight counts."""

    key: str
    finding: Finding
    share: float = 1.0


def observe(situation: Situation, candidate: Candidate) -> Iterator[Observation]:
    """All that the situation says for and against one candidate."""
    for finding in situation.findings:
        if _concerns(situation, candidate, finding):
            yield Observation(finding.code, finding)
    yield from _place(situation, candidate)
    yield from _time(situation, candidate)
    if candidate.cause == "bad_rollout":
        yield from _rollout(situation, candidate)
    elif candidate.cause == "transient":
        yield from _still_wrong(situation)
    else:
        yield from _suspect_rollouts(situation, candidate)
        yield from _configmaps(situation, candidate)


def _concerns(situation: Situation, candidate: Candidate, finding: Finding) -> bool:
    """Whether a finding's own code counts for the candidate."""
    if finding is candidate.seed:
        return True
    if finding.code.startswith("metric."):
        return _metric_concerns(situation, candidate, finding)
    if candidate.cause == "dependency":
        return same_workload(finding.subject, candidate.seed.subject)
    if not same_workload(finding.subject, candidate.subject):
        return False
    if finding.code == candidate.seed.code:
        return False  # another container, image or missing thing: a candidate of its own
    both = finding.subject.container and candidate.subject.container
    return not both or finding.subject.container == candidate.subject.container


def _metric_concerns(situation: Situation, candidate: Candidate, finding: Finding) -> bool:
    service = candidate.seed.service if candidate.cause == "dependency" else candidate.service
    if not service or finding.service != service:
        return False
    if finding.code == "metric.request_rate":
        return finding.facts.get("direction") == "up"
    if finding.code not in SYMPTOMS:
        return True
    if situation.explaining_callee(service):
        return False  # a callee's trouble explains what its caller suffers
    return candidate.cause != "bad_rollout" or not _other_explanation(situation, candidate)


def _other_explanation(situation: Situation, candidate: Candidate) -> bool:
    """Whether the workload has a trouble that its rollout did not bring: then errors do not point at the rollout."""
    facts = candidate.seed.facts
    return any(
        relation in {"same_limit", "same_limit_new_image", "same_need", "same_image"}
        for finding in situation.about(candidate.subject)
        for relation in _comparisons(facts, finding)
    )


def _place(situation: Situation, candidate: Candidate) -> Iterator[Observation]:
    if candidate.cause in {"transient", "dependency"}:
        return
    if candidate.cause == "node_problem":
        here = set(candidate.seed.facts.get("services") or [])
        reach = here | {caller for service in here for caller in situation.callers(service)}
        if situation.affected and not situation.affected & reach:
            yield Observation("place:elsewhere", candidate.seed)
        return
    if situation.is_connected(candidate.service) is False:
        yield Observation("place:elsewhere", candidate.seed)
    if situation.explaining_callee(candidate.service):
        yield Observation("place:callee", candidate.seed)


def _time(situation: Situation, candidate: Candidate) -> Iterator[Observation]:
    """A state that was first seen well after the first alert; repeated ends hide when they began."""
    seen = candidate.seed.happened_at
    repeated = int(candidate.seed.facts.get("restarts") or 0) > 1
    if candidate.cause != "bad_rollout" and seen and not repeated and seen > situation.started_at + _LATE:
        yield Observation("time:began_late", candidate.seed)


def _rollout(situation: Situation, candidate: Candidate) -> Iterator[Observation]:
    seed, facts = candidate.seed, candidate.seed.facts
    yield from _rollout_time(situation, candidate)
    if facts.get("restart_only"):
        yield Observation("rollout:restart_only", seed)
    own = situation.about(candidate.subject)
    for finding in own:
        for relation in _comparisons(facts, finding):
            yield Observation(f"rollout:{relation}", finding)
        if finding.code in _CRASHES and _followed(seed, finding):
            yield Observation("rollout:crash_followed", finding)
    symptoms = [] if situation.explaining_callee(candidate.service) else situation.symptoms(candidate.service)
    if not symptoms and not any(one.code in _WRONG for one in own):
        yield Observation("rollout:not_measured" if situation.lacks_metrics else "rollout:no_symptom", seed)
    for symptom in symptoms:
        if seed.happened_at and symptom.happened_at and symptom.happened_at < seed.happened_at - timedelta(minutes=1):
            yield Observation("rollout:symptom_before", symptom)


def _rollout_time(situation: Situation, candidate: Candidate) -> Iterator[Observation]:
    when = candidate.seed.happened_at
    if not when:
        return
    before = situation.started_at - when
    if before < -_SKEW:
        yield Observation("rollout:after_start", candidate.seed)
    else:
        age_s = max(before.total_seconds(), 0.0)
        yield Observation("rollout:recent", candidate.seed, 0.5 ** (age_s / weights.ROLLOUT_HALF_LIFE_S))


def _followed(rollout: Finding, crash: Finding) -> bool:
    """Whether the crash can be the rollout's doing: it began with it or later, as far as times are known."""
    if not rollout.happened_at or not crash.happened_at or rollout.facts.get("restart_only"):
        return False
    return crash.happened_at >= rollout.happened_at - _SKEW


def _comparisons(rollout: dict[str, Any], trouble: Finding) -> Iterator[str]:
    """How a trouble of the same workload compares between the two revisions of a rollout."""
    container = trouble.subject.container
    if trouble.code in _OOM:
        before, after = rollout["limits_before"].get(container), rollout["limits_after"].get(container)
        yield from _limit(before, after, image_changed=_image_changed(rollout, container))
    elif trouble.code == "container.image_unavailable":
        image = trouble.facts.get("image")
        if rollout["images_after"].get(container) == image:
            same = rollout["images_before"].get(container) == image
            yield "same_image" if same else "introduced_image"
    elif trouble.code == "config.missing":
        need = f"{trouble.facts['source_kind']}/{trouble.facts['source_name']}"
        key = trouble.facts["missing_key"]
        yield from _need(rollout, "references", f"{need}#{key}" if key else need)
    elif trouble.code == "log.env_missing":
        yield from _variable(rollout, str(trouble.facts["missing_key"]))
    elif trouble.code == "pod.unschedulable" and _requests_changed(rollout):
        yield "raised_requests"


def _requests_changed(rollout: dict[str, Any]) -> bool:
    return any(".resources.requests." in change["path"] for change in rollout["changes"])


def _image_changed(rollout: dict[str, Any], container: str) -> bool:
    return bool(rollout["images_before"].get(container) != rollout["images_after"].get(container))


def _limit(before: str | None, after: str | None, *, image_changed: bool) -> Iterator[str]:
    old, new = quantity.bytes_of(before), quantity.bytes_of(after)
    if new is not None and (old is None or old > new):
        yield "lowered_limit"
    else:
        yield "same_limit_new_image" if image_changed else "same_limit"


def _need(rollout: dict[str, Any], what: str, need: str) -> Iterator[str]:
    if need in rollout[f"{what}_after"]:
        yield "same_need" if need in rollout[f"{what}_before"] else "introduced_need"


def _variable(rollout: dict[str, Any], name: str) -> Iterator[str]:
    before, after = name in rollout["variables_before"], name in rollout["variables_after"]
    if before and not after:
        yield "introduced_need"
    elif before == after and rollout["images_before"] == rollout["images_after"]:
        yield "same_need"


_TAKEN_BY_ROLLOUT = ("introduced_image", "lowered_limit", "introduced_need", "raised_requests")


def _suspect_rollouts(situation: Situation, candidate: Candidate) -> Iterator[Observation]:
    """For other causes: a rollout of the same workload, before the trouble, that explains it better."""
    for rollout in situation.about(candidate.subject, "change.rollout"):
        if rollout.happened_at and rollout.happened_at > situation.started_at + _SKEW:
            continue
        for relation in _comparisons(rollout.facts, candidate.seed):
            if relation in _TAKEN_BY_ROLLOUT:
                yield Observation(f"rollout:{relation}", rollout)
        if candidate.seed.code in _CRASHES and _followed(rollout, candidate.seed):
            yield Observation("rollout:crash_followed", rollout)


def _configmaps(situation: Situation, candidate: Candidate) -> Iterator[Observation]:
    if candidate.cause != "config_missing":
        return
    facts = candidate.seed.facts
    for change in situation.of("change.configmap"):
        named = change.facts["configmap"] == facts.get("source_name") and facts.get("source_kind") == "ConfigMap"
        held = not facts.get("source_name") and facts.get("missing_key") in change.facts["keys"]
        if change.subject.namespace == candidate.subject.namespace and (named or held):
            yield Observation(f"configmap:{change.facts['change']}", change)


def _still_wrong(situation: Situation) -> Iterator[Observation]:
    for finding in situation.of(*TROUBLES):
        if finding.observed_at == situation.last_look and situation.is_connected(finding.service) is not False:
            yield Observation("state:still_wrong", finding)
