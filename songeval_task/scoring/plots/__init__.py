"""Pictures of scores: radars of one scorer, a panel of dots for each of several."""
