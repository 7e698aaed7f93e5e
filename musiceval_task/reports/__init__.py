"""Reports, plots, ensembles and answer files of predictions."""
