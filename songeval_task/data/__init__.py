"""SongEval on disk: ratings, splits, prepared songs, downloads, synthetic sets."""
