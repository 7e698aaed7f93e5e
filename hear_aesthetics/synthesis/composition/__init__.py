"""Notes: a seeded composition with known properties."""
