"""Batches with labels: what stands at a frame is about the time that its audio is centred at."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hear_aesthetics.pretraining.rendered.labels import NONE
from hear_aesthetics.pretraining.supervised import batches
from hear_aesthetics.pretraining.supervised.batches import draw_labelled
from hear_aesthetics.pretraining.supervised.kinds import tempo_classes
from hear_aesthetics.pretraining.teachers.cache import TeacherEmbeddings

SECOND = 24_000


class Clock:
    """Teacher whose embedding is the time."""

    name, licence, rate, dim, sha256 = "clock", "none", 8000, 2, "0"
    of_speech = False

    def embed(self, waveforms):
        times = 0.3 + 0.1 * np.arange(int((waveforms.shape[1] / self.rate - 0.6) / 0.1) + 1)
        rows = np.stack([times, -times], axis=-1).astype(np.float32)
        return np.repeat(rows[None], len(waveforms), axis=0), times


@pytest.fixture
def clock(monkeypatch, tmp_path: Path, made_pool) -> TeacherEmbeddings:
    monkeypatch.setattr(
        "hear_aesthetics.pretraining.teachers.cache.load_teacher", lambda name: Clock()
    )
    return TeacherEmbeddings.open(tmp_path, "clock", made_pool)


def times_of(clock: TeacherEmbeddings, rows: np.ndarray) -> np.ndarray:
    return rows[:, 0] * clock.about["std"][0] + clock.about["mean"][0]


def test_frames_are_centred_at_the_time_of_their_labels(made_pool):
    """The encoder's frame i is centred at sample 960 i: there lies the click of its onset."""
    batch = draw_labelled(made_pool, {}, np.random.default_rng(0), 20, SECOND, augment=False)
    clips, frames, _ = batch.labels["onsets"].nonzero(as_tuple=True)
    clips, frames = clips[frames > 0], frames[frames > 0]
    assert len(frames) > 10
    clicks = batch.waveform[clips, frames * 960]
    rise = clicks - batch.waveform[clips, frames * 960 - 1]
    assert (rise > 0.5).all()


def test_what_a_clip_lacks_is_silence_without_labels(made_pool):
    rng = np.random.default_rng(0)
    batch = draw_labelled(made_pool, {}, rng, 4, 3 * SECOND, augment=False)
    assert batch.waveform.shape == (4, 3 * SECOND)
    assert not batch.waveform[:, 50 * 960 :].any()
    assert not batch.labels["pitches"][:, 50:].any()
    assert (batch.labels["phoneme"][:, 50:] == NONE).all()


def test_held_out_clips_are_drawn_apart(made_pool):
    asked = []
    clip = made_pool.clip
    made_pool.clip = lambda index: asked.append(index) or clip(index)
    draw_labelled(made_pool, {}, np.random.default_rng(0), 30, SECOND)
    assert max(asked) == 9
    asked.clear()
    draw_labelled(made_pool, {}, np.random.default_rng(0), 30, SECOND, held_out=True)
    assert set(asked) == {10, 11}


def test_a_recording_changes_but_its_labels_do_not(made_pool, monkeypatch):
    monkeypatch.setattr(batches, "SPEED_SHARE", 0.0)
    plain, changed = (
        draw_labelled(made_pool, {}, np.random.default_rng(0), 1, SECOND, augment=augment)
        for augment in (False, True)
    )
    assert not torch.equal(plain.waveform, changed.waveform)
    assert all(torch.equal(plain.labels[name], changed.labels[name]) for name in plain.labels)


@pytest.mark.parametrize("semitones", [-3, -1, 2])
def test_labels_are_played_as_fast_as_their_clip(made_pool, monkeypatch, semitones):
    """Each click of a clip is where an onset is, and the tone of it has the onset's pitch."""
    clip, frames = made_pool.clip(0), 25
    speed = 2 ** (semitones / 12)
    wave = batches._played(clip.samples[480:], speed, frames * 960)
    labels = batches._labels(clip.labels, 0, frames, semitones)
    rows, pitches = labels["onsets"].nonzero()
    for row, pitch in zip(rows[rows > 0], pitches[rows > 0], strict=True):
        rises = np.diff(wave[(row - 1) * 960 : (row + 1) * 960])
        assert rises.max() > 0.2
        assert abs(np.argmax(rises) - 960) < 0.6 * 960 * speed
        tone = wave[(row + 2) * 960 : (row + 8) * 960]
        spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 16))
        hertz = np.argmax(spectrum) * 24_000 / (1 << 16)
        assert hertz == pytest.approx(27.5 * 2 ** (pitch / 12), rel=0.02)
    keys = (pitches - semitones) % 24  # as the clip is made
    assert np.array_equal(labels["key"][rows], (keys + 2 * semitones) % 24)
    assert np.nanmax(labels["tempo"]) == tempo_classes(clip.labels.tempo[:1] * speed)


def test_a_background_is_of_the_other_kind(made_pool, monkeypatch):
    for change in ("change_recording", "through_codec"):
        monkeypatch.setattr(batches, change, lambda wave, rng: wave)
    rng, music, speech = np.random.default_rng(0), made_pool.clip(0), made_pool.clip(1)
    wave = music.samples[:SECOND]
    for other, mixed in ((speech, True), (music, False), (None, False)):
        assert np.array_equal(batches._recorded(wave, music, other, rng), wave) != mixed


def test_embeddings_of_teachers_are_at_the_frames_times(made_pool, clock):
    rng = np.random.default_rng(3)
    batch = draw_labelled(made_pool, {"clock": clock}, rng, 6, SECOND, augment=False)
    for row in batch.embeddings["clock"].numpy():
        known = np.isfinite(row[:, 0])
        assert known.any()
        times = times_of(clock, row[known])
        np.testing.assert_allclose(np.diff(times), 0.04, atol=2e-3)
        np.testing.assert_allclose(times % 0.04, 0.02, atol=2e-3)
    whole = clock.at(0, (np.arange(50) + 0.5) * 0.04)
    np.testing.assert_allclose(times_of(clock, whole[20:22]), [0.82, 0.86], atol=1e-3)
    assert np.isnan(whole[[0, 49]]).all()


def test_a_teacher_of_speech_says_nothing_of_music(made_pool, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(Clock, "of_speech", True)
    found = TeacherEmbeddings.open(tmp_path / "speech", "clock", made_pool)
    music, speech = (found.at(index, np.array([1.0])) for index in (0, 1))
    assert np.isnan(music).all()
    assert np.isfinite(speech).all()


def test_embeddings_are_made_once_for_a_pool(made_pool, clock, tmp_path, monkeypatch):
    monkeypatch.setattr("hear_aesthetics.pretraining.teachers.cache.load_teacher", None)
    again = TeacherEmbeddings.open(tmp_path, "clock", made_pool)
    assert np.array_equal(again.rows, clock.rows)
    made_pool.about = {"audio": "other"}
    with pytest.raises(TypeError):  # it would ask for the teacher
        TeacherEmbeddings.open(tmp_path, "clock", made_pool)


def test_tempi_are_classes_of_log_beats_per_minute():
    found = tempo_classes(np.array([np.nan, 10, 40, 98, 240, 999], np.float32))
    assert found.tolist() == [NONE, 0, 0, 16, 31, 31]
