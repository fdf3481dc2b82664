"""One folder per product that Toban talks to. Nobody but the registry loads them; they never import each other."""
