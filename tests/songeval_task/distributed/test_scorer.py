"""``Scorer`` gives the scores of files, of whatever column of a batch holds the audio."""

from pathlib import Path

import numpy as np
import pytest

from hear_aesthetics.distributed import Scorer
from songeval_task.scoring.rows import AudioSpan


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(model="mini", device="cpu")


def test_a_batch_has_the_scores_of_its_files(scorer, write_clip, tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{seed}.wav", 0.6 + 0.2 * seed, seed) for seed in range(3)]
    expected = [r.output for r in scorer.scorer.score_files(map(AudioSpan, clips))]
    structs = [{"bytes": path.read_bytes(), "path": path.name} for path in clips]
    for batch in ({"path": [str(path) for path in clips]}, {"audio": structs}):
        made = scorer({**batch, "system": np.array(["a", "b", "c"])})
        for name in scorer.scorer.columns:
            wanted = [scores.values[name] for scores in expected]
            np.testing.assert_allclose(made[name], wanted, atol=1e-6)
        assert made["loudness_lufs"] == pytest.approx([s.loudness_lufs for s in expected], abs=0.01)
        assert made["duration"] == pytest.approx([0.6, 0.8, 1.0])
        assert made["system"].tolist() == ["a", "b", "c"]
        assert made["status"].tolist() == ["ok"] * 3


def test_a_bad_row_has_no_scores_and_says_why(scorer, write_clip, tmp_path: Path) -> None:
    good = write_clip(tmp_path / "good.wav")
    made = scorer({"path": [str(tmp_path / "none.wav"), str(good)], "start_time": [None, 0.1]})
    assert made["status"].tolist() == ["error", "ok"]
    assert "none.wav" in made["error"][0]
    assert np.isnan([made["mean"][0], made["duration"][0]]).all()
    assert made["duration"][1] == pytest.approx(0.4)
