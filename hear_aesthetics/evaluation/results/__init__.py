"""Files that an evaluation leaves, and how results are shown side by side."""
