"""Scale of MusicEval: two mean opinion scores from 1 to 5, and distributions over 20 bins."""

__all__ = ["BINS", "COLUMNS", "HIGH", "LOW", "TARGETS"]

LOW, HIGH = 1.0, 5.0
BINS = 20
TARGETS = ("overall", "textual")  # as MusicEval's lists call them
COLUMNS = {"overall": "MusicImpression", "textual": "TextAlignment"}  # as `score` writes them
