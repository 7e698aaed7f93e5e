"""The example pipeline writes the best songs of a folder with scores and embeddings."""

from pathlib import Path

import pytest

from songeval_task import AestheticScorer
from tests.examples.conftest import EXAMPLES

pytestmark = pytest.mark.slow


def test_the_best_quarter_is_kept_without_what_is_broken(run, tmp_path, write_song) -> None:
    pytest.importorskip("ray")
    songs = [tmp_path / f"songs/{seed}.wav" for seed in range(5)]
    for seed, path in enumerate(songs):
        write_song(path, seed)
    (tmp_path / "songs/broken.wav").write_bytes(b"no audio")
    lines = run(EXAMPLES / "ray_pipeline.py", "songs", "best").splitlines()
    scorer = AestheticScorer.from_pretrained(model="mini", device="cpu")
    means = {path: scorer.score(path).means["mean"] for path in songs}
    best = sorted(songs, key=means.__getitem__, reverse=True)[: len(lines)]
    assert len(best) == 2
    assert [Path(line.split()[-1]) for line in lines] == best
    assert [float(line.split()[0]) for line in lines] == pytest.approx(
        [means[path] for path in best], abs=0.01
    )
