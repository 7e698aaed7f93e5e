"""MusicEval data sets: clips, prompts and opinion scores, real and synthetic."""
