"""Reports: scores with intervals, tables and pictures of one or several runs."""
