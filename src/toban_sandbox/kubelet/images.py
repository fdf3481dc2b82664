"""Pulling images: what the registry has arrives after a while, the rest is tried again and again, later each time."""

from collections.abc import Callable

from toban_sandbox import programs
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import surroundings, wishes

IMAGE_BYTES = 29_374_911


class Puller:
    """Brings the image of one container onto its node."""

    def __init__(self, run: surroundings.Pod, member: containers.Container, later: surroundings.Later) -> None:
        self._schedule = later
        self._run = run
        self._member = member
        self._present = ""

    def pull(self, then: Callable[[programs.Program], None]) -> None:
        """Go on with the image's program once it is there."""
        member = self._member
        program = self._lookup(member.image)
        policy = self._run.spec_of(member).get("imagePullPolicy", "IfNotPresent")
        if self._present == member.image and program is not None and policy != "Always":
            text = f'Container image "{member.image}" already present on machine and can be accessed by the pod'
            self._tell("Pulled", text)
            then(program)
            return
        self._tell("Pulling", f'Pulling image "{member.image}"')
        wait = self._run.host.timing.pull_s
        self._later(wait, lambda: self._arrived(then))

    def forget(self) -> None:
        """Another image is wanted."""
        self._member.pull_failures = 0

    def _lookup(self, image: str) -> programs.Program | None:
        registry = self._run.host.registry
        found = registry.lookup(image)
        if found is None and wishes.any_in(self._run.pod):
            # A pod that asks the simulator for a fault brings its own program.
            found = registry.generic(image)
        return found

    def _arrived(self, then: Callable[[programs.Program], None]) -> None:
        member = self._member
        program = self._lookup(member.image)
        if program is None:
            self._failed(then)
            return
        member.pull_failures = 0
        self._present = member.image
        shown = containers.go_duration(self._run.host.timing.pull_s)
        size = f"Image size: {IMAGE_BYTES} bytes."
        self._tell(
            "Pulled", f'Successfully pulled image "{member.image}" in {shown} ({shown} including waiting). {size}'
        )
        then(program)

    def _failed(self, then: Callable[[programs.Program], None]) -> None:
        member, timing = self._member, self._run.host.timing
        reference = _full(member.image)
        why = (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{reference}": failed to resolve '
            f'reference "{reference}": {reference}: not found'
        )
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


def _full(image: str) -> str:
    """The image with the registry's host that is meant when none is written."""
    repository, tag = programs.split_image(image)
    first, slash, _ = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return f"{repository}:{tag}"
    return f"docker.io/{repository if slash else 'library/' + repository}:{tag}"
