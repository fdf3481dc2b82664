"""Node objects as worlds declare them: a name, a size, a zone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toban_sandbox.kube import discovery, objects

Json = dict[str, Any]

_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


@dataclass(frozen=True)
class Size:
    """What a node offers, as quantities."""

    cpu: str = "4"
    memory: str = "8Gi"
    pods: str = "110"
    storage: str = "100Gi"


def node(name: str, number: int, *, now: datetime, size: Size | None = None, zone: str = "") -> Json:
    """The object of the `number`th node (from 0), ready to be stored."""
    size = size or Size()
    amounts = {"cpu": size.cpu, "ephemeral-storage": size.storage, "memory": size.memory, "pods": size.pods}
    stamp = objects.timestamp(now)
    return {
        "metadata": {
            "name": name,
            "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/region": "sandbox",
                "topology.kubernetes.io/zone": zone or f"zone-{'abc'[number % 3]}",
            },
        },
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {
            "addresses": [
                {"address": f"10.0.0.{10 + number}", "type": "InternalIP"},
                {"address": name, "type": "Hostname"},
            ],
            "allocatable": dict(amounts),
            "capacity": dict(amounts),
            "conditions": [
                {
                    "type": kind,
                    "status": state,
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": stamp,
                    "lastTransitionTime": stamp,
                }
                for kind, state, reason, message in _CONDITIONS
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": name,
                "containerRuntimeVersion": "containerd://2.2.1",
                "kernelVersion": "6.12.0",
                "kubeProxyVersion": "",
                "kubeletVersion": discovery.VERSION["gitVersion"],
                "machineID": name,
                "operatingSystem": "linux",
                "osImage": "Toban Sandbox",
                "systemUUID": name,
            },
        },
    }
