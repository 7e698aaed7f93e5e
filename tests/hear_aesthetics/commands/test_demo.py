"""``hear-aesthetics demo`` makes a song, its embeddings and a picture, offline."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib import image

from hear_aesthetics import load_model
from hear_aesthetics.cli import main
from hear_aesthetics.engine.embedding_files import read_embedding
from hear_aesthetics.plotting.song import self_similarity
from hear_aesthetics.synthesis import Composition, compose
from songeval_task.commands.demo import FORM, SECONDS, SEED, STYLE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, made where nothing can be connected to."""
    folder = tmp_path_factory.mktemp("demo") / "new"

    def refuse(*_: object) -> None:
        raise AssertionError("the demo opened a connection")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(SystemExit) as exit_:
            main(["demo", "--out", str(folder)])
    assert not exit_.value.code
    return folder


@pytest.fixture(scope="module")
def composition() -> Composition:
    return compose(SEED, SECONDS, style=STYLE, form=FORM)


def test_it_makes_four_files(demo: Path) -> None:
    made = sorted(path.name for path in demo.iterdir())
    assert made == ["song.png", "song.wav", "song.wav.npz", "song.wav.scores.json"]


def test_the_scores_are_those_of_the_score_command_and_marked_demo(demo: Path, capsys) -> None:
    (row,) = json.loads((demo / "song.wav.scores.json").read_text())
    assert row["demo"] is True
    assert (row["model"], row["head"], row["status"]) == ("mini", "demo", "ok")
    with pytest.raises(SystemExit):
        main(["score", str(demo / "song.wav"), "--model", "mini", "--json"])
    (scored,) = json.loads(capsys.readouterr().out)
    assert list(scored) == list(row)
    for name, value in row.items():
        exact = not isinstance(value, float)
        assert scored[name] == (value if exact else pytest.approx(value, abs=1e-4)), name


def test_the_song_is_heard(demo: Path) -> None:
    samples, rate = soundfile.read(demo / "song.wav")
    assert (len(samples) / rate, rate) == (SECONDS, 48_000)
    assert 0.02 < np.sqrt(np.mean(samples**2)) < 0.5
    assert np.abs(samples).max() < 1


def test_the_embeddings_cover_the_song_and_say_what_made_them(demo: Path) -> None:
    embedding, timestamps, meta = read_embedding(demo / "song.wav.npz")
    assert embedding.shape == (750, 1280)
    assert timestamps[-1] == 749 * 40
    assert (meta["kind"], meta["model"]["model"]) == ("timestamps", "mini")
    assert meta["model"]["status"] == load_model().config.status


def test_equal_sections_look_alike(demo: Path, composition: Composition) -> None:
    """What the picture promises: a section that returns is a stripe beside the diagonal."""
    likeness = self_similarity(read_embedding(demo / "song.wav.npz").embedding)
    a, b, a_again = (round(section.start * 25) for section in composition.sections[:3])
    length = min(b - a, 100)
    same = np.mean([likeness[a + i, a_again + i] for i in range(length)])
    other = np.mean([likeness[a + i, b + i] for i in range(length)])
    assert same > other + 0.2


def test_the_picture_is_one(demo: Path) -> None:
    pixels = image.imread(demo / "song.png")
    assert min(pixels.shape[:2]) > 1000
    assert pixels[..., :3].std() > 0.1


def test_it_says_what_it_made_and_that_the_scores_mean_nothing(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--out", str(tmp_path)])
    said = capsys.readouterr()
    for name in ("song.wav", "song.wav.npz", "song.wav.scores.json", "song.png"):
        assert f"{tmp_path / name}: " in said.out
    assert "demo scores" in said.out
    assert said.err == ""
