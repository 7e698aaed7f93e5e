"""``python -m songeval_task`` is ``hear-aesthetics songeval``."""

from hear_aesthetics.cli import run

if __name__ == "__main__":
    run("songeval", "python -m songeval_task")
