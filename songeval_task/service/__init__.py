"""HTTP service: one process, one model and one queue for scores, embeddings and rewards."""
