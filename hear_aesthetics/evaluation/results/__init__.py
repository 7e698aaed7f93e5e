"""Results of evaluations: their files, intervals and leaderboards."""
