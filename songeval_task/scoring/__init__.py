"""From clips to rows on disk: windows, loudness, rows, the journal of a run, formats, pictures."""
