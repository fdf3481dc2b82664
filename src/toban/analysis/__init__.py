"""Pure numbers and text: deviations, groups, Kubernetes states, causes. No input, no output, no clock, no waiting."""
