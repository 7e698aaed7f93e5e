"""SongEval: the five-dimension song aesthetics task."""
