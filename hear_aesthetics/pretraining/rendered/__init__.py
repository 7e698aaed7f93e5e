"""Audio rendered from real sounds, with what the renderer knows of it."""
