"""``python -m hear_aesthetics`` is ``hear-aesthetics``."""

from hear_aesthetics.cli import main

if __name__ == "__main__":
    main()
