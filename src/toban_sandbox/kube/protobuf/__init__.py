"""Kubernetes' protobuf bodies read as plain JSON; `decode` is the door.

Called by `kube.requests` for bodies that kubectl's typed commands send. Answers are always JSON, which clients accept.
"""

from toban_sandbox.kube.protobuf.envelope import MEDIA_TYPE, decode
from toban_sandbox.kube.protobuf.wire import WireError

__all__ = ["MEDIA_TYPE", "WireError", "decode"]
