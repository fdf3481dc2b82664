"""How the scheduler decides: what each node has left, what speaks against it, which is best, how to say so."""
