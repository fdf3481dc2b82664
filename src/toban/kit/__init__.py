"""Tools without knowledge of operations: time, ids, canonical JSON, graphs, templates, text."""
