"""Needs tinysoundfont and the package fluid-soundfont-gm."""

from pathlib import Path

import numpy as np
import pytest

from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.rendered.sound_font import FontNote, SoundFont
from hear_aesthetics.pretraining.rendered.sources import sources
from hear_aesthetics.spec import SAMPLE_RATE

pytest.importorskip("tinysoundfont")
FLUID = Path(sources()["fluid"].path)
needs_fluid = pytest.mark.skipif(not FLUID.exists(), reason="needs fluid-soundfont-gm")
PIANO, FLUTE, WOODBLOCK = 0, 73, 115


@pytest.fixture(scope="module")
def fluid() -> SoundFont:
    return SoundFont(FLUID)


@needs_fluid
def test_notes_start_where_they_are_written(fluid: SoundFont) -> None:
    for onset in (0.1, 0.333, 0.5):  # of no common block size
        track = fluid.play([FontNote(onset, 0.2, 60, 110)], WOODBLOCK, SAMPLE_RATE)
        start = round(onset * SAMPLE_RATE)
        assert not np.any(track[:start])
        first = int(np.argmax(np.abs(track) > 0.05 * np.abs(track).max()))
        assert 0 <= first - start < 0.01 * SAMPLE_RATE


@needs_fluid
@pytest.mark.parametrize("pitch", [60, 69, 76])
def test_pitch_is_that_of_the_note(fluid: SoundFont, pitch: int) -> None:
    track = fluid.play([FontNote(0.0, 1.0, pitch, 100)], FLUTE, SAMPLE_RATE)[6000:18_000]
    products = np.correlate(track, track, "full")[len(track) - 1 :]
    lags = np.arange(20, 200)  # 120 Hz to 1.2 kHz
    lag = lags[np.argmax(products[lags] / (len(track) - lags))]
    period = SAMPLE_RATE / (440.0 * 2 ** ((pitch - 69) / 12))
    multiple = max(1, round(lag / period))
    assert lag / multiple == pytest.approx(period, rel=0.03)


@needs_fluid
def test_a_track_does_not_depend_on_what_was_played_before(fluid: SoundFont) -> None:
    notes = [FontNote(0.05 * i, 0.3, 50 + i, 90) for i in range(8)]
    alone = fluid.play(notes, PIANO, SAMPLE_RATE)
    fluid.play([FontNote(0.0, 2.0, 38, 120)], 0, SAMPLE_RATE // 4, drums=True)
    assert np.array_equal(alone, fluid.play(notes, PIANO, SAMPLE_RATE))


def test_a_file_that_is_no_sound_font_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.sf2"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"broken\.sf2"):
        SoundFont(path)
