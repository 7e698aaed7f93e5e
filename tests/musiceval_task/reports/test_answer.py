"""The answer file, byte for byte."""

from pathlib import Path

import numpy as np

from musiceval_task.predictions import ClipPredictions
from musiceval_task.reports.answer import write_answer


def test_lines_are_sorted_without_extension_and_with_eight_decimals(tmp_path: Path) -> None:
    names = ("audiomos2025-track1-S002_P010.wav", "audiomos2025-track1-S002_P002.wav")
    scores = np.array([[3.0, 4.123456789], [1.5, 2.25]])
    predictions = ClipPredictions(names, ("", ""), ("", ""), scores, 0 * scores)
    write_answer(tmp_path / "new" / "answer.txt", predictions)
    assert (tmp_path / "new" / "answer.txt").read_bytes() == (
        b"audiomos2025-track1-S002_P002,1.50000000,2.25000000\n"
        b"audiomos2025-track1-S002_P010,3.00000000,4.12345679\n"
    )
