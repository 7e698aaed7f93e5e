"""Subcommands of ``hear-aesthetics musiceval``."""
