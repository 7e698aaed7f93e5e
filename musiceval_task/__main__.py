"""Entry point of ``python -m musiceval_task``, which is ``hear-aesthetics musiceval``."""

from hear_aesthetics.cli import run

if __name__ == "__main__":
    run("musiceval", "python -m musiceval_task")
