"""What a command sees in a container: its variables, its mounted files and the services around it."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from toban_sandbox.kube import objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DOMAIN = "svc.cluster.local"


@dataclass(frozen=True)
class Container:
    """One container of a running pod."""

    store: stores.ObjectStore
    pod: Json
    spec: Json

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return objects.name_of(self.pod)

    def variables(self) -> dict[str, str]:
        """The environment."""
        found = {"PATH": PATH, "HOSTNAME": self.name}
        for source in self.spec.get("envFrom") or ():
            found |= {
                f"{source.get('prefix') or ''}{key}": value
                for reference, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets"))
                for key, value in self._data(resource, (source.get(reference) or {}).get("name")).items()
            }
        for one in self.spec.get("env") or ():
            value = one.get("value", "") if one.get("valueFrom") is None else self._value_from(one["valueFrom"])
            if value is not None:
                found[one["name"]] = value
        found |= {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": "/root"}
        return found

    def files(self) -> dict[str, str]:
        """Text files by path: the host's name and table of names, and what is mounted from ConfigMaps and Secrets."""
        address = (self.pod.get("status") or {}).get("podIP", "")
        found = {
            "/etc/hostname": f"{self.name}\n",
            "/etc/hosts": f"127.0.0.1\tlocalhost\n{address}\t{self.name}\n",
            "/etc/resolv.conf": f"search {self.namespace}.{DOMAIN} {DOMAIN} cluster.local\nnameserver 10.96.0.10\n"
            "options ndots:5\n",
        }
        volumes = {one["name"]: one for one in self.pod["spec"].get("volumes") or ()}
        for mount in self.spec.get("volumeMounts") or ():
            for key, text in self._volume(volumes.get(mount["name"]) or {}):
                if not mount.get("subPath"):
                    found[f"{mount['mountPath'].rstrip('/')}/{key}"] = text
                elif mount["subPath"] == key:
                    found[mount["mountPath"]] = text
        return found

    def service(self, host: str) -> Json | None:
        """The Service that a host name or cluster address means here, or None."""
        for one in self.store.each("services"):
            if one["spec"].get("clusterIP") == host and host != "None":
                return one
        name, _, rest = host.removesuffix(".").partition(".")
        place = rest.removesuffix(f".{DOMAIN}").removesuffix(".svc") or self.namespace
        return self.store.get("services", place, name)

    def ready_addresses(self, service: Json) -> list[str]:
        """Addresses of the pods that serve now."""
        return [
            address
            for one in self.store.list("endpointslices", service["metadata"]["namespace"])
            if objects.labels(one).get("kubernetes.io/service-name") == objects.name_of(service)
            for endpoint in one.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready", True)
            for address in endpoint.get("addresses") or ()
        ]

    def _value_from(self, source: Json) -> str | None:
        for reference, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if source.get(reference):
                return self._data(resource, source[reference].get("name")).get(source[reference].get("key"))
        value: Any = self.pod
        for step in str((source.get("fieldRef") or {}).get("fieldPath", "")).split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value if isinstance(value, str) else None

    def _data(self, resource: str, name: str | None) -> dict[str, str]:
        obj = self.store.get(resource, self.namespace, name or "") or {}
        data = obj.get("data") or {}
        if resource == "secrets":
            return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
        return dict(data)

    def _volume(self, volume: Json) -> Iterator[tuple[str, str]]:
        for field, resource, name in (("configMap", "configmaps", "name"), ("secret", "secrets", "secretName")):
            if volume.get(field):
                yield from _chosen(self._data(resource, volume[field].get(name)), volume[field])
        for source in (volume.get("projected") or {}).get("sources") or ():
            for field, resource in (("configMap", "configmaps"), ("secret", "secrets")):
                if source.get(field):
                    yield from _chosen(self._data(resource, source[field].get("name")), source[field])
            if source.get("downwardAPI"):
                yield "namespace", self.namespace


def _chosen(data: dict[str, str], source: Json) -> Iterator[tuple[str, str]]:
    items = source.get("items")
    if items is None:
        yield from data.items()
    else:
        yield from ((one["path"], data[one["key"]]) for one in items if one.get("key") in data)
