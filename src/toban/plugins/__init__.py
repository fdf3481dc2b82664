"""What an integration can implement: roles, the action contract, and the registry that finds them."""
