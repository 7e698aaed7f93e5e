"""Commands of ``hear-aesthetics songeval``: the task from its data to its tables."""
