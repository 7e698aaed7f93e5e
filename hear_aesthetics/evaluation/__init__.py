"""HEAR tasks: folders, embeddings, probes and scores."""
