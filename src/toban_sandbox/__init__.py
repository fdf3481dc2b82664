"""A world to practise in: a simulated Kubernetes cluster that real clients use over loopback sockets.

Started as `python -m toban_sandbox`; it never imports `toban`, and `toban` never imports it.
"""
