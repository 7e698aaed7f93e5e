"""Reports: metrics with intervals, tables and plots of one or several runs."""
