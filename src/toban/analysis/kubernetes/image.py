"""Images that cannot be pulled. Called by `analyze`; says nothing about who asked for the image."""

from collections.abc import Iterator

from toban.analysis.kubernetes.cluster import (
    Cluster,
    Container,
    Object,
    Scope,
    at,
    earliest,
    first_seen,
    instant,
    make,
    name_of,
)
from toban.analysis.kubernetes.containers import Trouble, cases
from toban.kit import text
from toban.model.finding import Finding

_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`container.image_unavailable`, one for each workload, container and image, with the kubelet's words as quote."""

    def unavailable(pod: Object, container: Container) -> Trouble | None:
        reason = str(container.waiting.get("reason", ""))
        if reason not in _REASONS:
            return None
        events = cluster.events_of("Pod", name_of(pod), "Failed", "InspectFailed")
        since_creation = instant(at(pod, "metadata").get("creationTimestamp"))
        when = earliest(first_seen(event) for event in events) or since_creation
        words = str(container.waiting.get("message") or next((event.get("message") for event in events), ""))
        return Trouble(f"{container.path}.state.waiting.reason", reason, (_image(container), words), when)

    for case in cases(cluster, unavailable, key=lambda trouble: str(trouble.details[0])):
        image, words = case.first.details
        repository, tag = split(image)
        yield make(
            cluster,
            scope,
            subject=case.subject,
            code="container.image_unavailable",
            statement=f"{case.place} cannot start: image {image} cannot be pulled.",
            facts=case.facts(image=image, repository=repository, tag=tag, reason=case.first.value),
            field=case.first.path,
            value=case.first.value,
            expected="image pulled",
            quote=text.quoted(words),
            happened_at=case.happened_at,
        )


def _image(container: Container) -> str:
    return str(container.spec.get("image") or container.status.get("image") or "")


def split(image: str) -> tuple[str, str]:
    """Repository and tag (or digest) of an image name; the tag is `latest` where none is written."""
    repository, mark, digest = image.partition("@")
    if mark:
        return repository, digest
    head, colon, tag = image.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (image, "latest")
