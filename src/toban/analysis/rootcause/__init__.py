"""From findings to a ranked diagnosis, by rules that can be read: causes, weights, relations, explaining away.

Called by `flow.diagnose`. Deterministic: the same input gives the same bytes. No language model takes part.

`candidates` says which causes are worth weighing, `relations` what a finding means for one of them, `weights` how much,
`scoring` adds it up, `statements` puts it into words, `graph` draws it, `diagnosis` joins all.
"""

from toban.analysis.rootcause.diagnosis import join

__all__ = ["join"]
