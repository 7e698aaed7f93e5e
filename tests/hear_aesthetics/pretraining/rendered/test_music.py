"""Labels of rendered music say what is heard; a made-up orchestra plays sines."""

from collections.abc import Sequence

import numpy as np
import pytest

from hear_aesthetics.pretraining.rendered import music, orchestra, recordings
from hear_aesthetics.pretraining.rendered.labels import LOWEST_PITCH, NONE, LabelledClip
from hear_aesthetics.pretraining.rendered.orchestra import HELD_OUT, Orchestra
from hear_aesthetics.pretraining.rendered.sound_font import FontNote
from hear_aesthetics.spec import SAMPLE_RATE

SECONDS = 2.0
FRAME = 960


class Sines:
    """Sound font whose programs are sines, one an octave too quiet to tell from silence."""

    kits = (0,)

    def __init__(self, path: object) -> None:
        self.gain = 0.001 if path == "musescore" else 0.5

    def play(
        self, notes: Sequence[FontNote], preset: int, samples: int, *, drums: bool = False
    ) -> np.ndarray:
        track = np.zeros(samples, np.float32)
        for note in notes:
            first = round(note.onset * SAMPLE_RATE)
            length = min(samples - first, round((0.05 if drums else note.seconds) * SAMPLE_RATE))
            time = np.arange(max(0, length)) / SAMPLE_RATE
            hertz = 440.0 * 2 ** ((note.pitch - 69) / 12)
            track[first : first + len(time)] += self.gain * np.sin(2 * np.pi * hertz * time)
        return track


@pytest.fixture
def sines(monkeypatch: pytest.MonkeyPatch) -> Orchestra:
    monkeypatch.setattr(orchestra, "SoundFont", Sines)
    monkeypatch.setattr(music, "in_room", lambda wave, rng: wave)
    monkeypatch.setattr(recordings, "in_room", lambda wave, rng: wave)
    return Orchestra({name: name for name in HELD_OUT}, held_out=False)  # type: ignore[misc]


def loudest_pitch(clip: LabelledClip, first: int, last: int) -> float:
    """Return the MIDI pitch of the loudest sine of some frames."""
    part = clip.samples[first * FRAME : last * FRAME]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
    return float(69 + 12 * np.log2(np.argmax(spectrum) * SAMPLE_RATE / (1 << 17) / 440.0))


def test_single_notes_are_where_and_what_their_labels_say(sines, monkeypatch):
    monkeypatch.setattr(music, "CHORD_SHARE", 0.0)
    found = 0
    for seed in range(5):
        clip = music.notes(sines, np.random.default_rng(seed), SECONDS)
        alone = clip.labels.pitches.sum(axis=1) == 1
        for frame in range(2, 47):
            if not alone[frame - 2 : frame + 3].all():
                continue
            row = clip.labels.pitches[frame - 2 : frame + 3].nonzero()[1]
            if len(set(row)) == 1 and row[0] + LOWEST_PITCH > 45:
                pitch = loudest_pitch(clip, frame - 1, frame + 2)
                assert pitch == pytest.approx(row[0] + LOWEST_PITCH, abs=0.6)
                found += 1
    assert found > 40


def test_chords_have_a_class_while_they_sound(sines, monkeypatch):
    monkeypatch.setattr(music, "CHORD_SHARE", 1.0)
    clip = music.own_notes(sines, np.random.default_rng(3), SECONDS)
    several = clip.labels.pitches.sum(axis=1) >= 3
    assert several.mean() > 0.3
    assert (clip.labels.chord[several] != NONE).all()
    assert (clip.labels.presets.sum(axis=1)[several] == 1).all()


def test_percussion_is_heard_when_it_is_hit(sines, monkeypatch):
    monkeypatch.setattr(music, "render_drum", None)  # our own drums are not asked
    hits = 0
    for seed in range(10):
        try:
            clip = music.percussion(sines, np.random.default_rng(seed), SECONDS)
        except TypeError:
            continue
        levels = np.abs(clip.samples.reshape(-1, FRAME)).max(axis=1)
        rows = clip.labels.drums.any(axis=1)
        begins = np.flatnonzero(np.diff(rows, prepend=False) & rows)
        hits += len(begins)
        assert all(levels[max(0, i - 1) : i + 1].max() > 0 for i in begins)
        near = np.convolve(rows, np.ones(5), "same") > 0
        assert not levels[:-1][~near[:-1]].any()  # a hit in the last half frame has no label
        assert not clip.labels.pitches.any()
    assert hits > 20


def test_a_band_plays_a_part_of_a_song(sines):
    clip = music.band(sines, np.random.default_rng(1), 4.0)
    labels = clip.labels
    assert clip.samples.shape == (4 * SAMPLE_RATE,)
    assert clip.samples.dtype == np.float32
    assert labels.pitches.any(axis=1).mean() > 0.8
    assert (labels.key != NONE).all()
    assert (labels.chord != NONE).all()
    assert np.isfinite(labels.tempo).all()
    silent = ~labels.pitches.any(axis=1) & ~labels.drums.any(axis=1)
    levels = np.abs(clip.samples.reshape(-1, FRAME)).mean(axis=1)
    assert not silent.any() or levels[silent].mean() < levels[~silent].mean()


def test_our_own_songs_have_labels_of_the_same_kinds(sines):
    labels = music.own_song(sines, np.random.default_rng(2), 3.0).labels
    assert labels.pitches.any()
    assert labels.presets.any()
    assert (labels.key != NONE).all()
    chords, roots = labels.chord, labels.chord // 5
    tones = [{p % 12 for p in np.flatnonzero(row) + LOWEST_PITCH} for row in labels.pitches]
    fits = [root in tone for root, tone, c in zip(roots, tones, chords, strict=True) if c != NONE]
    assert np.mean(fits) > 0.7


def test_held_out_programs_are_those_of_no_other_clip(monkeypatch):
    monkeypatch.setattr(orchestra, "SoundFont", Sines)
    fonts = {name: name for name in HELD_OUT}
    drawn = {}
    for held_out in (False, True):
        chosen = Orchestra(fonts, held_out)  # type: ignore[arg-type]
        rng = np.random.default_rng(0)
        parts = (orchestra.MELODIC, range(32, 40), (57, 58), (0,))
        drawn[held_out] = {chosen.instrument(rng, part) for part in parts for _ in range(2000)}
    assert not drawn[False] & drawn[True]
    assert {program for _, program in drawn[False]} >= set(range(112))


def test_fonts_play_equally_loud(sines):
    notes = [FontNote(0.0, 1.0, 60, 100)]
    tracks = [sines.play((name, 0), notes, SAMPLE_RATE) for name in HELD_OUT]
    assert np.std(tracks[0]) == pytest.approx(np.std(tracks[1]), rel=1e-3)
    assert not sines.play(("fluid", 0), [], 100).any()


def test_noise_has_no_pitch_and_no_phoneme():
    clip = recordings.noise(np.random.default_rng(0), SECONDS)
    assert clip.labels.has_music
    assert not clip.labels.has_speech
    assert not clip.labels.pitches.any()
    assert np.abs(clip.samples).max() > 0.5


def test_samples_are_hits_or_unknown(sines, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    for name in ("bd_808", "drum_cowbell", "loop_amen"):
        soundfile.write(tmp_path / f"{name}.flac", 0.1 * rng.standard_normal(4800), SAMPLE_RATE)
    keys, kinds = set(), set()
    for seed in range(8):
        clip = recordings.samples_at_random(tmp_path, np.random.default_rng(seed), SECONDS)
        kinds.add(clip.labels.has_music)
        keys |= set(np.flatnonzero(clip.labels.drums.any(axis=0)) + 35)
        assert clip.labels.drums.any() == clip.labels.has_music
    assert kinds == {True, False}
    assert keys == {36, 56}
