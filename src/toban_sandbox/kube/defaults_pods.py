"""What the API server fills in in pods and pod templates, and how it sets a field that is not set.

Used by the other defaults of workloads and pods.
"""

from typing import Any

Json = dict[str, Any]

DEFAULT_GRACE_S = 30
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def put(target: Json, **defaults: Any) -> None:
    """Set the fields that are not set yet."""
    for name, value in defaults.items():
        if target.get(name) is None:
            target[name] = value


def template(spec: Json) -> None:
    """Complete the pod template of a workload's specification."""
    found = spec.get("template")
    if isinstance(found, dict):
        put(found, metadata={})
        if isinstance(found.get("spec"), dict):
            pod_spec(found["spec"])


def pod_spec(spec: Json) -> None:
    """Complete a pod's or a template's specification."""
    put(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=DEFAULT_GRACE_S,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            if isinstance(container, dict):
                _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _container(container: Json) -> None:
    tail = str(container.get("image", "")).rpartition("/")[2]
    latest = tail.endswith(":latest") or ":" not in tail
    put(
        container,
        imagePullPolicy="Always" if latest else "IfNotPresent",
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for port in container.get("ports") or ():
        put(port, protocol="TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            put(reference, apiVersion="v1")
    for name in _PROBES:
        if isinstance(container.get(name), dict):
            _probe(container[name])


def _probe(probe: Json) -> None:
    put(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if isinstance(probe.get("httpGet"), dict):
        put(probe["httpGet"], path="/", scheme="HTTP")


def _volume(volume: Json) -> None:
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            put(volume[source], defaultMode=420)
    if isinstance(volume.get("hostPath"), dict):
        put(volume["hostPath"], type="")
    if len(volume) == 1 and "name" in volume:
        volume["emptyDir"] = {}
