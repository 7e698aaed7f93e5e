"""Reports, ensembles, answer files and pictures of predictions."""
