"""Version of the package: setup.py reads this file, run folders and results carry it."""

__version__ = "0.1.0"
