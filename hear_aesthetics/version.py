"""Version of the package, read by setup.py and written into results."""

__version__ = "0.2.0"
