"""Google's speech embedding: where its frames lie, and that a clip's end changes no other frame."""

import numpy as np
import pytest

from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.teachers.speech_embedding import SpeechEmbedding
from hear_aesthetics.pretraining.teachers.teacher import load_teacher

RATE = 16_000


@pytest.fixture(scope="module")
def teacher() -> SpeechEmbedding:
    pytest.importorskip("pyopen_wakeword")
    pytest.importorskip("ai_edge_litert")
    return SpeechEmbedding()


def test_frames_are_80_ms_apart_and_centred_at_what_they_hear(teacher):
    """A burst of 10 ms changes the embeddings whose 775 ms hold it, and no other."""
    quiet = 0.01 * np.random.default_rng(0).standard_normal((1, 4 * RATE)).astype(np.float32)
    loud = quiet.copy()
    loud[0, 2 * RATE : 2 * RATE + 160] += 0.05
    (before, centres), (after, _) = teacher.embed(quiet), teacher.embed(loud)
    assert before.shape == (1, len(centres), teacher.dim)
    np.testing.assert_allclose(np.diff(centres), 0.08)
    change, away = np.abs(after - before)[0].max(axis=1), np.abs(centres - 2.005)
    assert (change[away > 0.5 * 0.775 + 0.02] < 1e-3).all()
    assert (change[away < 0.3] > 1.0).all()


def test_what_is_too_short_has_no_frame(teacher):
    embeddings, centres = teacher.embed(np.zeros((2, 12_511), np.float32))
    assert embeddings.shape == (2, 0, 96)
    assert not len(centres)
    assert teacher.embed(np.zeros((2, 12_512), np.float32))[0].shape == (2, 1, 96)


def test_without_its_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(InputError, match=r"pip install \"hear-aesthetics\[teachers\]\""):
        load_teacher("speech_embedding")


def test_an_unknown_teacher_is_told_in_one_line():
    with pytest.raises(InputError, match="unknown teacher 'yamnet'; choose speech_embedding"):
        load_teacher("yamnet")
