"""`toban demo`: a world, a fault, an incident, a fix, told as it happens and ended with what came of it.

`ground` starts and stops the demo's own Toban, `story` follows it, `outcome` says what it came to.
"""

from toban.entrypoints.cli.demo.command import demo

__all__ = ["demo"]
