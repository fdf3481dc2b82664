"""What several tests build upon: a clock that jumps, an engine that forgets, a small world to act on."""
