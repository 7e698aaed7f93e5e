"""Training of heads on frozen states: members of the ensemble, and their run folders."""
