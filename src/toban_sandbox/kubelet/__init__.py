"""The simulated nodes' agent: runs the containers of scheduled pods and reports on them."""

from toban_sandbox.kubelet.agent import Health, Kubelet
from toban_sandbox.kubelet.memory import Usage
from toban_sandbox.kubelet.timing import Timing

__all__ = ["Health", "Kubelet", "Timing", "Usage"]
