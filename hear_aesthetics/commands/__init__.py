"""The command line's subcommands, one module each, found through entry points."""
