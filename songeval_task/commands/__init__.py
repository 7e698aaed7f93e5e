"""Commands of the SongEval task; ``hear-aesthetics`` finds them through entry points."""
