"""Who may do what, on whose approval, within which limits, and the record of it all."""
