"""The challenge's answer file: ``id,overall,textual``, 8 decimals, sorted by id."""

from pathlib import Path

from hear_aesthetics.files import write_text
from musiceval_task.data.dataset import clip_id
from musiceval_task.predictions import ClipPredictions

__all__ = ["answer_text", "write_answer"]


def answer_text(predictions: ClipPredictions) -> str:
    """The file's text: a line per clip, each with its end."""
    rows = zip(map(clip_id, predictions.clips), predictions.scores.tolist(), strict=True)
    return "".join(
        f"{name},{overall:.8f},{textual:.8f}\n" for name, (overall, textual) in sorted(rows)
    )


def write_answer(path: Path, predictions: ClipPredictions) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, answer_text(predictions))
