"""Sound synthesis: instruments, voices, drums, effects, and the mix of a composition."""
