"""Pictures: the one look that all of them have."""
