"""`kubectl exec` for a small set of harmless commands, and the polite refusal of every other stream into a pod."""

from toban_sandbox.kube.shell.streams import STREAMS, check, serve

__all__ = ["STREAMS", "check", "serve"]
