"""Cluster addresses and node ports of Services: given once, repeatable by name.

Called by the store when a Service is written.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

FIRST_NODE_PORT, NODE_PORTS = 30000, 2768


def assign(service: Json, others: Iterable[Json]) -> None:
    """Give a Service the addresses it lacks, in place."""
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        return
    others = list(others)
    if not spec.get("clusterIP"):
        taken = {str((one.get("spec") or {}).get("clusterIP")) for one in others}
        spec["clusterIP"] = _address(_seed(service), taken)
    if not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        used = {port.get("nodePort") for one in others for port in (one.get("spec") or {}).get("ports") or ()}
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port["nodePort"] = _port(_seed(service) + int(port.get("port") or 0), used)
                used.add(port["nodePort"])


def _seed(service: Json) -> int:
    meta = service["metadata"]
    text = f"{meta.get('namespace')}/{meta.get('name')}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _address(seed: int, taken: set[str]) -> str:
    while True:
        address = f"10.96.{seed // 254 % 256}.{seed % 254 + 1}"
        if address not in taken:
            return address
        seed += 1


def _port(seed: int, used: set[Any]) -> int:
    while True:
        port = FIRST_NODE_PORT + seed % NODE_PORTS
        if port not in used:
            return port
        seed += 1
