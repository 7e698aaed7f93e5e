"""Commands of ``hear-aesthetics songeval``, from data to figures."""
