"""Features of songs on disk, of originals and augmented versions."""
