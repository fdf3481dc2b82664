"""Toban: the one on duty."""

__version__ = "0.1.0"
