"""The control loops of the simulated cluster, one controller a file; `run_all` starts them."""
