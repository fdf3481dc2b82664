"""Causes in words, and the facts that fill a runbook's parameters. Called by `scoring` and `join`; it weighs nothing.

Every number and name of a sentence is also a fact, so that a page can say it in another language.
"""

from collections.abc import Callable, Sequence
from typing import Any

from toban.analysis import quantity
from toban.analysis.kubernetes.changes import duration
from toban.analysis.rootcause.candidates import Candidate
from toban.analysis.rootcause.situation import SYMPTOMS, Situation
from toban.model.diagnosis import Hypothesis, Verdict

Facts = dict[str, Any]


def facts(situation: Situation, candidate: Candidate) -> Facts:
    """Names and numbers of the hypothesis; `deployment` only where a Deployment runs it."""
    seed, subject = candidate.seed.facts, candidate.subject
    general = {
        "namespace": subject.namespace,
        "workload_kind": str(seed.get("workload_kind", subject.kind)),
        "workload": str(seed.get("workload", subject.name)),
        "container": subject.container or str(seed.get("container", "")),
        "service": candidate.service,
    }
    if general["workload_kind"] == "Deployment":
        general["deployment"] = general["workload"]
    return {**general, **_FACTS[candidate.cause](situation, candidate)}


def sentence(candidate: Candidate, known: Facts) -> str:
    """One sentence that names the cause and where it lies."""
    place = f"{known['workload_kind']} {known['namespace']}/{known['workload']}"
    return _SENTENCES[candidate.cause](known, place)


def summary(situation: Situation, hypotheses: Sequence[Hypothesis], verdict: Verdict) -> str:
    """Two to four sentences for the top of the page; honest where nothing was found."""
    if verdict is not Verdict.INCONCLUSIVE:
        said = _conclusion(hypotheses[0], verdict)
    else:
        said = _open_end(situation, hypotheses)
    if situation.missing:
        said += f" Not read: {'; '.join(situation.missing[:4])}{' …' if len(situation.missing) > 4 else ''}."  # noqa: PLR2004 - as many as are shown
    return said


def _conclusion(best: Hypothesis, verdict: Verdict) -> str:
    word = "Likely" if verdict is Verdict.LIKELY else "Possible"
    for_it, against = len(best.supports), len(best.contradicts)
    return (
        f"{word} cause: {best.statement} "
        f"{for_it} {'finding supports' if for_it == 1 else 'findings support'} it, "
        f"{against or 'none'} {'speaks' if against <= 1 else 'speak'} against it."
    )


def _open_end(situation: Situation, hypotheses: Sequence[Hypothesis]) -> str:
    parts = []
    if situation.has_ended:
        ends = [alert.ended_at for alert in situation.alerts if alert.ended_at]
        lasted = f" after {duration((max(ends) - situation.started_at).total_seconds())}" if ends else ""
        names = sorted({alert.name for alert in situation.alerts})
        parts.append(f"{'Alert' if len(names) == 1 else 'Alerts'} {', '.join(names[:3])} ended by itself{lasted}.")
    rivals = [one for one in hypotheses if one.confidence >= 0.5 and one.cause != "transient"]  # noqa: PLR2004 - as likely as not
    if len(rivals) > 1:
        parts.append(f"Two causes fit equally well: {rivals[0].statement} Or: {rivals[1].statement}")
    else:
        parts.append("No cause was found.")
        parts.extend(one.statement for one in list(situation.of(*SYMPTOMS))[:2])
    looked_at = situation.looked_at
    if looked_at and not situation.has_measurements:
        parts.append(f"Looked at: {', '.join(looked_at)}; nothing there is wrong.")
    return " ".join(parts)


def _memory_facts(situation: Situation, candidate: Candidate) -> Facts:
    seed = candidate.seed.facts
    limit = seed.get("limit_bytes") or 0
    seen = [
        float(finding.facts.get("peak") or 0.0)
        for finding in situation.of("metric.memory", "metric.memory_near_limit")
        if finding.service == candidate.service
    ]
    return {
        "limit": seed.get("limit", ""),
        "suggested_limit": quantity.larger_limit(limit, max(seen, default=0.0)) if limit else "",
        "peak_bytes": int(max(seen, default=0.0)),
        "restarts": seed.get("restarts", 0),
    }


def _image_facts(_: Situation, candidate: Candidate) -> Facts:
    return {"image": candidate.seed.facts.get("image", ""), "reason": candidate.seed.facts.get("reason", "")}


def _config_facts(_: Situation, candidate: Candidate) -> Facts:
    seed = candidate.seed.facts
    kind, name = str(seed.get("source_kind", "")), str(seed.get("source_name", ""))
    known: Facts = {"source_kind": kind, "source_name": name, "missing_key": seed.get("missing_key", "")}
    if kind == "ConfigMap":
        known["configmap"] = name
    if kind == "Secret":
        known["secret"] = name
    return known


def _rollout_facts(situation: Situation, candidate: Candidate) -> Facts:
    seed = candidate.seed.facts
    broken = situation.about(candidate.subject, "container.image_unavailable")
    unavailable = [one.facts["image"] for one in broken if one.facts["image"] in seed["images_after"].values()]
    return {
        "revision": seed["revision"],
        "previous_revision": seed["previous_revision"],
        "image": seed["new_image"],
        "previous_image": seed["old_image"],
        "container": seed["container"],
        "seconds_before_start": seed["seconds_before_start"],
        "change_cause": seed["change_cause"],
        "image_unavailable": unavailable[0] if unavailable else "",
    }


def _crash_facts(situation: Situation, candidate: Candidate) -> Facts:
    seed = candidate.seed.facts
    words = [one.quote for one in situation.about(candidate.subject, "log.last_words")]
    words = words or [candidate.seed.quote]
    return {
        "code": candidate.seed.code,
        "exit_code": seed.get("exit_code"),
        "probe": seed.get("probe", "readiness" if candidate.seed.code == "pod.not_ready" else ""),
        "restarts": seed.get("restarts", 0),
        "last_words": words[0],
    }


def _node_facts(_: Situation, candidate: Candidate) -> Facts:
    seed = candidate.seed.facts
    return {"node": seed["node"], "condition": seed["condition"], "services": seed["services"]}


def _capacity_facts(_: Situation, candidate: Candidate) -> Facts:
    return {"lacking": candidate.seed.facts["lacking"], "pods": candidate.seed.facts["pods"]}


def _dependency_facts(_: Situation, candidate: Candidate) -> Facts:
    seed = candidate.seed
    return {"host": seed.facts["host"], "peer": seed.facts["peer"], "caller": seed.service or seed.subject.name}


def _transient_facts(_: Situation, candidate: Candidate) -> Facts:
    return {"alert": candidate.seed.facts.get("alert", ""), "seconds": candidate.seed.facts.get("seconds")}


_FACTS: dict[str, Callable[[Situation, Candidate], Facts]] = {
    "memory_limit": _memory_facts,
    "image_unavailable": _image_facts,
    "config_missing": _config_facts,
    "bad_rollout": _rollout_facts,
    "crash": _crash_facts,
    "node_problem": _node_facts,
    "capacity": _capacity_facts,
    "dependency": _dependency_facts,
    "transient": _transient_facts,
}


def _memory_sentence(known: Facts, place: str) -> str:
    limit = f"its limit of {known['limit']}" if known["limit"] else "its node has"
    return f"Container {known['container']} of {place} needs more memory than {limit}."


def _config_sentence(known: Facts, place: str) -> str:
    if not known["source_name"]:
        return f"Environment variable {known['missing_key']} is not set for container {known['container']} of {place}."
    what = f"{known['source_kind']} {known['namespace']}/{known['source_name']}"
    if known["missing_key"]:
        what = f"Key {known['missing_key']} of {what}"
    return f"{what}, which {place} needs, does not exist."


def _rollout_sentence(known: Facts, place: str) -> str:
    if known["image_unavailable"]:
        image = known["image_unavailable"]
        return f"Revision {known['revision']} of {place} uses image {image}, which cannot be pulled."
    image = f" (image {known['image']})" if known["image"] != known["previous_image"] else ""
    return f"The rollout of revision {known['revision']} of {place}{image} brought the fault."


def _crash_sentence(known: Facts, place: str) -> str:
    if known["probe"]:
        return f"The application in {place} fails its {known['probe']} probe."
    return f"The application in container {known['container']} of {place} ends with exit code {known['exit_code']}."


def _capacity_sentence(known: Facts, place: str) -> str:
    lacking = f" for lack of {' and '.join(known['lacking'])}" if known["lacking"] else ""
    return f"The cluster has no room for {place}{lacking}."


def _transient_sentence(known: Facts, _: str) -> str:
    lasted = f" after {duration(known['seconds'])}" if known["seconds"] is not None else ""
    return f"Alert {known['alert']} ended by itself{lasted}; nothing is wrong now."


_SENTENCES: dict[str, Callable[[Facts, str], str]] = {
    "memory_limit": _memory_sentence,
    "image_unavailable": lambda known, place: f"Image {known['image']} of {place} cannot be pulled.",
    "config_missing": _config_sentence,
    "bad_rollout": _rollout_sentence,
    "crash": _crash_sentence,
    "node_problem": lambda known, _: f"Node {known['node']} has a problem ({known['condition']}).",
    "capacity": _capacity_sentence,
    "dependency": lambda known, _: (
        f"{known['peer'] or known['host']} does not answer {known['caller']}; why is not known."
    ),
    "transient": _transient_sentence,
}
