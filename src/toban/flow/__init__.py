"""What happens to an incident, in order: one module a stage; `pipeline` holds the order."""
