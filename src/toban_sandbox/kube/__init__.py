"""The simulated Kubernetes API: resource kinds, object store, patches, and the HTTPS face that clients talk to."""
