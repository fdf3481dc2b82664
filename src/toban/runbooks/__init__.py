"""Workflow templates: load them, check them, fill them. The shipped ones are in `library/`."""
