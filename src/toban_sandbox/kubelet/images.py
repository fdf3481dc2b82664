"""Pulling images: what the registry has arrives after a while, the rest is tried again and again, later each time."""

import re
from collections.abc import Callable

from toban_sandbox import programs
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import surroundings, wishes

IMAGE_BYTES = 29_374_911
INVALID_NAME, NEVER_PULLED = "InvalidImageName", "ErrImageNeverPull"
LOGIN_SECRETS = {"kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"}
_NAME = re.compile(r"[\w.\-]+(:\d+)?(/[a-z0-9]+([._\-]+[a-z0-9]+)*)*(:[\w][\w.\-]{0,127})?(@sha256:[0-9a-f]{64})?\Z")


class Puller:
    """Brings the image of one container onto its node."""

    def __init__(self, run: surroundings.Pod, member: containers.Container, later: surroundings.Later) -> None:
        self._schedule = later
        self._run = run
        self._member = member

    def pull(self, then: Callable[[programs.Program], None]) -> None:
        """Go on with the image's program once it is there."""
        member, present = self._member, self._run.host.images
        fault = _name_fault(member.image)
        if fault:
            self._refuse(INVALID_NAME, f'Failed to apply default image tag "{member.image}": {fault}', "InspectFailed")
            return
        program = self._lookup(member.image)
        policy = self._run.spec_of(member).get("imagePullPolicy", "IfNotPresent")
        if member.image in present and program is not None and policy != "Always":
            text = f'Container image "{member.image}" already present on machine and can be accessed by the pod'
            self._tell("Pulled", text)
            if member.restarts:
                then(program)
            else:
                self._later(self._run.host.timing.create_s, lambda: then(program))
            return
        if policy == "Never":
            self._refuse(NEVER_PULLED, f'Container image "{member.image}" is not present with pull policy of Never')
            # Another pod may bring the image onto the node.
            self._later(self._run.host.timing.image_backoff_max_s, lambda: self.pull(then))
            return
        self._tell("Pulling", f'Pulling image "{member.image}"')
        self._look_for_secrets()
        self._later(self._run.host.timing.pull_s, lambda: self._arrived(then))

    def forget(self) -> None:
        """Another image is wanted."""
        self._member.pull_failures = 0

    def _refuse(self, reason: str, text: str, event: str = "") -> None:
        """The image will never come this way; it is looked at again in a while all the same."""
        self._member.wait(reason, text)
        self._warn(event or reason, text)
        self._warn("Failed", f"Error: {reason}")
        self._run.publish()

    def _lookup(self, image: str) -> programs.Program | None:
        registry = self._run.host.registry
        found = registry.lookup(image)
        if found is None and wishes.any_in(self._run.pod):
            # A pod that asks the simulator for a fault brings its own program.
            found = registry.generic(image)
        return found

    def _secrets(self) -> list[tuple[str, bool]]:
        """The pull secrets that the pod names, and whether each can be used."""
        pod, store = self._run.pod, self._run.host.store
        found = []
        for reference in pod["spec"].get("imagePullSecrets") or ():
            name = str(reference.get("name", ""))
            secret = store.get("secrets", pod["metadata"]["namespace"], name)
            found.append((name, secret is not None and secret.get("type") in LOGIN_SECRETS))
        return found

    def _look_for_secrets(self) -> None:
        pod, store = self._run.pod, self._run.host.store
        missing = [name for name, _ in self._secrets() if not store.get("secrets", pod["metadata"]["namespace"], name)]
        if missing:
            listed = ", ".join(missing)
            text = (
                f"Unable to retrieve some image pull secrets ({listed}); attempting to pull the image may not succeed."
            )
            self._run.host.recorder.warning(pod, "FailedToRetrieveImagePullSecret", text)

    def _arrived(self, then: Callable[[programs.Program], None]) -> None:
        member = self._member
        program = self._lookup(member.image)
        why = self._fault(program)
        if program is None or why:
            self._failed(why, then)
            return
        member.pull_failures = 0
        self._run.host.images.add(member.image)
        shown = containers.go_duration(self._run.host.timing.pull_s)
        size = f"Image size: {IMAGE_BYTES} bytes."
        self._tell(
            "Pulled", f'Successfully pulled image "{member.image}" in {shown} ({shown} including waiting). {size}'
        )
        then(program)

    def _fault(self, program: programs.Program | None) -> str:
        """Why the image cannot be pulled, or nothing."""
        image = self._member.image
        reference = _full(image)
        about = f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}":'
        if program is None and not self._run.host.registry.knows_host(image):
            host = programs.host_of(image)
            repository, _, tag = reference.partition("/")[2].rpartition(":")
            url = f"https://{host}/v2/{repository}/manifests/{tag}"
            lost = f'failed to do request: Head "{url}": dial tcp: lookup {host} on 10.0.0.2:53: no such host'
            return f"rpc error: code = Unknown desc = {about} {lost}"
        if program is None:
            return f"rpc error: code = NotFound desc = {about} {reference}: not found"
        if program.private and not any(usable for _, usable in self._secrets()):
            denied = (
                "pull access denied, repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            )
            return f"rpc error: code = Unknown desc = {about} {denied}"
        return ""

    def _failed(self, why: str, then: Callable[[programs.Program], None]) -> None:
        member, timing = self._member, self._run.host.timing
        member.wait(containers.PULL_ERROR, why)
        self._warn("Failed", f'Failed to pull image "{member.image}": {why}')
        self._warn("Failed", f"Error: {containers.PULL_ERROR}")
        self._run.publish()
        member.pull_failures += 1
        wait = min(timing.image_backoff_base_s * 2 ** (member.pull_failures - 1), timing.image_backoff_max_s)
        self._later(min(timing.retry_s, wait) / 2, lambda: self._back_off(why, wait, then))

    def _back_off(self, why: str, wait: float, then: Callable[[programs.Program], None]) -> None:
        text = f'Back-off pulling image "{self._member.image}"'
        self._member.wait(containers.PULL_BACKOFF, f"{text}: {containers.PULL_ERROR}: {why}")
        self._tell("BackOff", text)
        self._warn("Failed", f"Error: {containers.PULL_BACKOFF}")
        self._run.publish()
        self._later(wait, lambda: self.pull(then))

    def _later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._schedule("pull", seconds, callback)

    def _tell(self, reason: str, text: str) -> None:
        path = self._run.field_path(self._member)
        self._run.host.recorder.normal(self._run.pod, reason, text, field_path=path)

    def _warn(self, reason: str, text: str) -> None:
        path = self._run.field_path(self._member)
        self._run.host.recorder.warning(self._run.pod, reason, text, field_path=path)


def _name_fault(image: str) -> str:
    """Why an image's name is none, or nothing."""
    if _NAME.match(image):
        return ""
    repository = programs.split_image(image)[0]
    why = "invalid reference format"
    if repository != repository.lower():
        why += f": repository name ({repository if '/' in repository else 'library/' + repository}) must be lowercase"
    return f'couldn\'t parse image name "{image}": {why}'


def _full(image: str) -> str:
    """The image with the registry's host that is meant when none is written."""
    repository, tag = programs.split_image(image)
    if programs.host_of(image) != "docker.io" or repository.startswith("docker.io/"):
        return f"{repository}:{tag}"
    return f"docker.io/{repository if '/' in repository else 'library/' + repository}:{tag}"
