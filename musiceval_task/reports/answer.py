"""Answer file of the challenge: ``id,overall,textual``, 8 decimals, sorted by id."""

from pathlib import Path

from hear_aesthetics.files import write_text
from musiceval_task.data.dataset import clip_id
from musiceval_task.predictions import ClipPredictions

__all__ = ["answer_text", "write_answer"]


def answer_text(predictions: ClipPredictions) -> str:
    """Return the text of the file, one line per clip."""
    rows = zip(map(clip_id, predictions.clips), predictions.scores.tolist(), strict=True)
    return "".join(
        f"{name},{overall:.8f},{textual:.8f}\n" for name, (overall, textual) in sorted(rows)
    )


def write_answer(path: Path, predictions: ClipPredictions) -> None:
    """Write the file and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, answer_text(predictions))
