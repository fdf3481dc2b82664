"""Durable execution: the few words of the workflow engine that the rest may use. Only this package knows DBOS."""
