"""Outputs of scoring: rows as files, journals and shards, and reading them again."""
