"""Metrics of the simulated world: measured, kept as series, and served as Prometheus serves them."""
