"""Embedding stage: from any HEAR module to an embedding folder in heareval's layout."""
