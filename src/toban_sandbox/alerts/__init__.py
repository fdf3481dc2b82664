"""Alerting of the simulated world: Prometheus's rules and Alertmanager's notifications."""
