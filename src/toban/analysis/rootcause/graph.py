"""The causal graph for the drawing: cause → service → its callers → alerts, with the change behind the cause.

Called by `join`. Ids are stable, labels short. Edges only lead away from the cause, so the graph has no cycle.
"""

from collections.abc import Iterator, Sequence

from toban.analysis import metrics
from toban.analysis.rootcause.situation import Situation
from toban.model.diagnosis import GraphEdge, GraphNode, Hypothesis, Verdict
from toban.model.finding import Finding

_MOST_ALERTS = 12
_MOST_SERVICES = 12
_LABELS = {
    "memory_limit": "Memory limit",
    "image_unavailable": "Image unavailable",
    "config_missing": "Configuration missing",
    "bad_rollout": "Bad rollout",
    "crash": "Application error",
    "node_problem": "Node problem",
    "capacity": "No room",
    "dependency": "Callee silent",
    "transient": "Passed by itself",
}

Edges = list[tuple[str, str]]


def draw(
    situation: Situation, hypotheses: Sequence[Hypothesis], verdict: Verdict
) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
    """Nodes and edges of the best hypothesis; without a verdict only the alerts and their services."""
    best = hypotheses[0] if hypotheses and verdict is not Verdict.INCONCLUSIVE else None
    nodes: dict[str, GraphNode] = {}
    edges: dict[tuple[str, str], GraphEdge] = {}
    parts: list[tuple[list[GraphNode], list[GraphEdge]]] = []
    if best:
        parts.append(_cause(situation, best))
        parts.append(_spread(situation, best))
    parts.append(_alerts(situation))
    for some_nodes, some_edges in parts:
        for node in some_nodes:
            nodes.setdefault(node.id, node)
        for edge in some_edges:
            if edge.cause in nodes and edge.effect in nodes:
                edges.setdefault((edge.cause, edge.effect), edge)
    return tuple(nodes.values()), tuple(edges.values())


def _cause(situation: Situation, best: Hypothesis) -> tuple[list[GraphNode], list[GraphEdge]]:
    cause = GraphNode(id=f"cause:{best.id}", label=_LABELS[best.cause], detail=best.subject.name, role="cause")
    nodes, edges = [cause], []
    known = {finding.id: finding for finding in situation.findings}
    changes = {
        evidence.finding_id: evidence.weight
        for evidence in best.supports
        if known[evidence.finding_id].code.startswith("change.")
    }
    for finding_id, weight in sorted(changes.items()):
        change = known[finding_id]
        nodes.append(
            GraphNode(id=f"change:{finding_id}", label=change.subject.name, detail=_detail(change), role="change")
        )
        share = round(weight / (1.0 + weight), 3)
        edges.append(GraphEdge(cause=f"change:{finding_id}", effect=cause.id, weight=share, why=change.statement))
    for service in _origins(best):
        nodes.append(_service(situation, service))
        edges.append(GraphEdge(cause=cause.id, effect=f"service:{service}", weight=best.confidence, why=best.statement))
    return nodes, edges


def _origins(best: Hypothesis) -> list[str]:
    several = best.facts.get("services") if best.cause == "node_problem" else None
    return sorted(several or ([best.service] if best.service else []))


def _spread(situation: Situation, best: Hypothesis) -> tuple[list[GraphNode], list[GraphEdge]]:
    """Callers that are on the way from the cause to a service with an alert or a symptom."""
    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []
    for callee, caller in _calls_upwards(situation, _origins(best)):
        nodes.append(_service(situation, caller))
        symptoms = situation.symptoms(caller)
        weight = 0.9 if symptoms else 0.6 if caller in situation.affected else 0.3
        why = symptoms[0].statement if symptoms else f"{caller} calls {callee}."
        edges.append(GraphEdge(cause=f"service:{callee}", effect=f"service:{caller}", weight=weight, why=why))
    return nodes, edges


def _calls_upwards(situation: Situation, origins: list[str]) -> Iterator[tuple[str, str]]:
    depth = dict.fromkeys(origins, 0)
    calls: Edges = []
    queue = list(origins)
    for callee in queue:
        for name in situation.direct_callers(callee):
            if name not in depth and len(depth) < _MOST_SERVICES:
                depth[name] = depth[callee] + 1
                queue.append(name)
            if depth.get(name) == depth[callee] + 1:
                calls.append((callee, name))
    marked = {name for name in depth if name in situation.affected or situation.symptoms(name)}
    for callee, caller in reversed(calls):
        if caller in marked:
            marked.add(callee)
    return ((callee, caller) for callee, caller in calls if caller in marked)


def _alerts(situation: Situation) -> tuple[list[GraphNode], list[GraphEdge]]:
    counts: dict[tuple[str, str], int] = {}
    for alert in situation.alerts:
        key = (alert.service or "", alert.name)
        counts[key] = counts.get(key, 0) + 1
    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []
    for (service, name), count in list(counts.items())[:_MOST_ALERTS]:
        node_id = f"alert:{service}:{name}"
        detail = f"{service}, {count} times" if count > 1 else service
        if service:
            nodes.append(_service(situation, service))
            edges.append(
                GraphEdge(cause=f"service:{service}", effect=node_id, weight=0.8, why=f"{name} is about {service}.")
            )
        nodes.append(GraphNode(id=node_id, label=name, detail=detail.strip(), role="effect"))
    return nodes, edges


def _service(situation: Situation, name: str) -> GraphNode:
    symptoms = situation.symptoms(name)
    role = "effect" if symptoms or name in situation.affected else "context"
    detail = ""
    if symptoms:
        words = {"metric.error_share": "errors", "metric.latency_p95": "p95"}
        first = symptoms[0]
        detail = f"{words[first.code]} {metrics.amount(float(first.facts['now']), str(first.facts['unit']))}"
    return GraphNode(id=f"service:{name}", label=name, detail=detail, role=role)


def _detail(change: Finding) -> str:
    if change.code == "change.rollout":
        image = str(change.facts["new_image"]).rpartition("/")[2]
        return f"rev {change.facts['revision']} {image}".strip()
    return f"ConfigMap {change.facts['change']}"
