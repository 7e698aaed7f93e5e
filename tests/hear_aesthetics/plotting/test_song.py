"""Pictures: the similarity matrix is right, the file is a picture, nothing global changes."""

import errno
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from hear_aesthetics.errors import StorageError
from hear_aesthetics.plotting.song import CELLS, draw_song, self_similarity
from hear_aesthetics.plotting.style import new_figure, save


@dataclass(frozen=True)
class Section:
    name: str
    start: float
    end: float


def song(form: str, frames: int = 50) -> np.ndarray:
    """One embedding per letter of the form, held for ``frames``, over a large common offset."""
    rng = np.random.default_rng(0)
    centre = 10 + rng.standard_normal(16)
    letters = {letter: rng.standard_normal(16) for letter in sorted(set(form))}
    return np.concatenate([np.tile(centre + letters[letter], (frames, 1)) for letter in form])


def test_equal_sections_are_alike_and_others_are_not() -> None:
    likeness = self_similarity(song("ABA"))
    assert likeness.shape == (150, 150)
    assert likeness[10, 110] == pytest.approx(1, abs=1e-6)
    assert likeness[10, 75] < 0
    np.testing.assert_allclose(likeness, likeness.T)


def test_similarity_is_a_cosine() -> None:
    likeness = self_similarity(np.random.default_rng(0).standard_normal((40, 8)), smoothing=1)
    np.testing.assert_allclose(np.diag(likeness), 1)
    assert likeness.min() >= -1


def test_smoothing_averages_neighbours_and_keeps_the_place_of_an_event() -> None:
    embeddings = np.random.default_rng(0).standard_normal((101, 4)) * 1e-3
    embeddings[50] += 10
    alike = self_similarity(embeddings, smoothing=5)[50] > 0.9
    assert np.flatnonzero(alike).tolist() == [48, 49, 50, 51, 52]


def test_an_hour_is_averaged_to_what_can_be_seen() -> None:
    frames = 90_000
    turn = np.linspace(0, np.pi, frames)
    likeness = self_similarity(np.stack([np.cos(turn), np.sin(turn)], axis=1))
    assert likeness.shape == (CELLS, CELLS)
    assert likeness[0, 0] == pytest.approx(1)


@pytest.mark.parametrize("embeddings", [np.zeros((30, 4)), np.ones((1, 4))])
def test_embeddings_that_never_change_give_no_nan(embeddings: np.ndarray) -> None:
    assert np.isfinite(self_similarity(embeddings)).all()


@pytest.fixture
def waveform() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(2 * 24_000).astype(np.float32)


@pytest.mark.parametrize("sections", [(), (Section("A", 0, 1), Section("B", 1, 2))])
def test_a_picture_is_written_without_touching_matplotlibs_state(
    tmp_path: Path, waveform: np.ndarray, sections: tuple[Section, ...]
) -> None:
    before = dict(mpl.rcParams)
    draw_song(tmp_path / "song.png", waveform, song("AB", 25), title="A song", sections=sections)
    pixels = image.imread(tmp_path / "song.png")
    assert min(pixels.shape[:2]) > 1000
    assert len(np.unique(pixels[::7, ::7, :3].reshape(-1, 3), axis=0)) > 200
    assert dict(mpl.rcParams) == before


def test_silence_can_be_drawn(tmp_path: Path) -> None:
    draw_song(tmp_path / "silence.png", np.zeros(24_000, np.float32), song("A", 25), title="None")
    assert (tmp_path / "silence.png").is_file()


def test_a_disk_without_room_is_said_with_the_picture_s_name(tmp_path, monkeypatch) -> None:
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(StorageError, match=r"radar\.png: cannot take more"):
        save(new_figure(2, 2, "radar")[0], tmp_path / "radar.png")
