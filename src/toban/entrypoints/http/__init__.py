"""The web door: pages, event stream, API, hooks and health behind one set of checks."""
