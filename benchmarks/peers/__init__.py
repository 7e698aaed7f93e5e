"""HEAR modules of other projects' small models, whose weights come in their PyPI packages."""
