"""MusicEval on disk: clips, prompts, opinion scores, synthetic sets."""
