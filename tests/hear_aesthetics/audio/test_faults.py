"""Faults of audio: each is named as it was measured, and what is healthy beside it is not."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import firwin, lfilter

from hear_aesthetics.audio.faults import FaultMeter, find_faults
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.synthesis import compose, render

RATE = 44_100
EXAMPLE = Path(__file__).parents[4] / "shared" / "audio" / "songeval_example.mp3"


def noise(seconds: float, channels: int = 1, level: float = 0.1, rate: int = RATE) -> np.ndarray:
    shape = (round(seconds * rate), channels)
    return (level * np.random.default_rng(channels).standard_normal(shape)).astype(np.float32)


def times(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE)) / RATE


def tones(seconds: float, *frequencies: float, level: float = 0.2) -> np.ndarray:
    waves = [np.sin(2 * np.pi * f * times(seconds) + f) for f in frequencies]
    return level * np.sum(waves, axis=0, dtype=np.float32)[:, None]


def bass_note(seconds: float, decay: float) -> np.ndarray:
    """A note of 55 Hz with overtones up to 6.6 kHz, ``decay`` nepers a second softer."""
    second = sum(np.sin(2 * np.pi * 55 * k * times(1)) / k for k in range(1, 121))
    wave = np.tile(second, math.ceil(seconds))[: round(seconds * RATE)]
    return (0.3 * wave * np.exp(-decay * times(seconds)))[:, None].astype(np.float32)


def repeated(part: np.ndarray, seconds: float) -> np.ndarray:
    whole = round(seconds * RATE)
    return np.tile(part, (-(-whole // len(part)), 1))[:whole]


def song(seed: int = 1, seconds: float = 14.0) -> np.ndarray:
    """Composed music at 24 kHz."""
    return render(compose(seed=seed, seconds=seconds))[:, None]


def hits(places: list[float], seconds: float, decay: float, highest: float) -> np.ndarray:
    """Noise below ``highest`` Hz, one burst at each place, every burst the same."""
    burst = lfilter(firwin(201, highest, fs=RATE), 1, noise(0.2)[:, 0]) * np.exp(
        -decay * times(0.2)
    )
    track = np.zeros(round(seconds * RATE) + len(burst))
    for place in places:
        start = round(place * RATE)
        track[start : start + len(burst)] += burst
    return track[: round(seconds * RATE), None].astype(np.float32)


# --- silence and levels ---


def test_a_clip_without_sound_is_silence_and_nothing_else() -> None:
    assert find_faults(np.zeros((RATE * 12, 2)), RATE) == ("silence (peak -inf, RMS -inf dBFS)",)
    (fault,) = find_faults(noise(12, 2, level=1e-4), RATE)
    assert fault.startswith("silence (peak -6")
    assert FaultMeter().faults() == ()


def test_a_constant_is_silence_with_an_offset() -> None:
    faults = find_faults(np.full((RATE * 12, 1), 0.25), RATE)
    assert faults == (
        "silence (peak -inf, RMS -inf dBFS)",
        "DC offset (+0.250 of full scale)",
    )


def test_quiet_music_is_music() -> None:
    assert find_faults(song() / np.abs(song()).max() * 0.005, 24_000) == ()


@pytest.mark.parametrize(("silent", "named"), [(5.0, False), (7.0, True)])
def test_digital_silence_is_named_from_half_of_the_clip_on(silent, named) -> None:
    samples = noise(12, 2)
    samples[: round(silent * RATE)] = 0
    expected = (f"digital silence in {silent / 12:.0%} of it",) if named else ()
    assert find_faults(samples, RATE) == expected


def test_a_step_of_16_bits_is_sound() -> None:
    samples = noise(12)
    rng = np.random.default_rng(0)
    samples[: RATE * 8] = rng.integers(-1, 2, (RATE * 8, 1)) / 2**15
    assert find_faults(samples, RATE) == ()


@pytest.mark.parametrize(("offset", "named"), [(0.008, False), (-0.03, True)])
def test_an_offset_is_named_above_one_per_cent_of_full_scale(offset, named) -> None:
    expected = (f"DC offset ({offset:+.3f} of full scale)",) if named else ()
    assert find_faults(noise(12, 2) + np.float32(offset), RATE) == expected


def test_beside_loud_music_an_offset_must_stand_out() -> None:
    samples = np.clip(noise(12, level=0.3), -0.9, 0.9)
    assert find_faults(samples + np.float32(0.013), RATE) == ()
    assert find_faults(samples + np.float32(0.02), RATE)[0].startswith("DC offset")


def test_a_dead_channel_is_named_and_a_soft_or_equal_one_is_not() -> None:
    samples = noise(12, 2)
    samples[:, 1] = noise(12)[:, 0] * 1e-4
    assert find_faults(samples, RATE) == ("no sound in channel 2 of 2",)
    samples[:, 1] *= 10
    assert find_faults(samples, RATE) == ()
    assert find_faults(np.repeat(noise(12), 2, axis=1), RATE) == ()
    assert find_faults(noise(12) * np.float32([1, -1]), RATE) == ()


def test_the_low_frequency_channel_may_be_silent() -> None:
    samples = noise(10, 6)
    samples[:, 3] = 0
    assert find_faults(samples, RATE) == ()
    samples[:, 4:] = 0
    assert find_faults(samples, RATE) == ("no sound in channel 5, 6 of 6",)


# --- clipping ---


def limited(ceiling: float, share: float) -> np.ndarray:
    """Noise of which that share of the samples is cut at the ceiling."""
    samples = noise(12, 2)
    return np.clip(samples * ceiling / np.quantile(np.abs(samples), 1 - share), -ceiling, ceiling)


@pytest.mark.parametrize("ceiling", [1.0, 0.999, 0.9])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_clipping_is_named_above_one_per_cent(tmp_path, ceiling, subtype) -> None:
    """White noise has few neighbours at the ceiling; 20 % of it gives some of them."""
    faults = []
    for share in (0.2, 0.005):
        meter = FaultMeter()
        soundfile.write(tmp_path / "a.wav", limited(ceiling, share), RATE, subtype=subtype)
        load_audio(tmp_path / "a.wav", on_block=meter.push)
        faults.append(meter.faults())
    assert faults[0][0].startswith("clipping (")
    assert faults[1] == ()


def test_the_share_of_clipped_samples_is_counted() -> None:
    samples = np.clip(noise(12), -0.5, 0.5)
    samples[10_000 : 10_000 + 12 * RATE // 50] = 1.0
    assert find_faults(samples, RATE)[0] == "clipping (2.0% of the samples)"


def test_float_files_may_pass_full_scale_now_and_then() -> None:
    samples = noise(12, level=0.35)
    assert 0.002 < (np.abs(samples) >= 1).mean() < 0.01
    assert find_faults(samples, RATE) == ()
    assert find_faults(2 * samples, RATE)[0].startswith("clipping (15.")


def test_a_square_wave_below_full_scale_and_a_full_sine_are_not_clipped() -> None:
    square = np.sign(np.sin(2 * np.pi * 221.3 * times(12)))[:, None]
    assert find_faults(0.5 * square, RATE) == ()
    sine = np.round(tones(12, 97.3, level=1.0) * 32_767) / 32_768
    assert find_faults(sine, RATE) == ("nothing above 0.2 kHz",)


def test_peaks_of_a_softer_part_are_not_the_clip_s_ceiling() -> None:
    samples = limited(0.9, 0.2)
    samples[-RATE:] = 0.99 * noise(1, 2) / np.abs(noise(1, 2)).max()
    assert find_faults(samples, RATE) == ()


# --- bandwidth and length ---


def test_bandwidth_is_said_as_it_was_measured() -> None:
    sharp = {"fs": RATE, "window": ("kaiser", 10)}
    telephone = lfilter(firwin(801, 3_000, **sharp), 1, noise(12), axis=0)
    (fault,) = find_faults(telephone, RATE)
    assert re.fullmatch(r"nothing above 3\.[0-2] kHz", fault)
    wider = lfilter(firwin(801, 4_500, **sharp), 1, noise(12), axis=0)
    assert find_faults(wider, RATE) == ()
    assert find_faults(noise(12, rate=8_000), 8_000) == ("nothing above 4.0 kHz",)
    assert find_faults(noise(12, rate=11_025), 11_025) == ()


def test_noise_before_the_music_does_not_hide_that_it_is_narrow() -> None:
    samples = np.concatenate([noise(8, level=1e-4), tones(20, 220.3, 331.7)])
    assert find_faults(samples, RATE) == ("nothing above 0.5 kHz",)


def test_a_solo_bass_with_overtones_is_wide() -> None:
    assert find_faults(bass_note(12, decay=0.2), RATE) == ()


def test_a_bright_part_of_dull_music_is_heard() -> None:
    samples = tones(20, 220.3, 331.7)
    samples[8 * RATE : 9 * RATE] += noise(1, level=0.01)
    assert find_faults(samples, RATE) == ()


def test_ten_seconds_are_not_short() -> None:
    assert find_faults(noise(10), RATE) == ()
    assert find_faults(noise(9.9), RATE) == ("shorter than 10 s (9.9 s)",)
    assert find_faults(noise(9.97), RATE) == ("shorter than 10 s (9.9 s)",)
    assert find_faults(noise(0.004), RATE)[-1] == "shorter than 10 s (0.0 s)"


# --- loops ---


@pytest.mark.parametrize("period", [0.25, 0.6137, 1.0, 2.0])
@pytest.mark.parametrize("rate", [24_000, RATE, 48_000])
def test_a_loop_is_named_with_its_period(period, rate) -> None:
    part = noise(period * rate / RATE, 2)
    samples = np.tile(part, (round(14 / period), 1))
    (fault,) = [f for f in find_faults(samples, rate) if "shorter" not in f]
    assert fault == f"a loop of {period:.2f} s"


@pytest.mark.parametrize(("suffix", "quality"), [("mp3", 0.0), ("mp3", 0.85), ("ogg", 0.9)])
def test_lossy_codecs_hide_no_loop(tmp_path, suffix, quality) -> None:
    music = np.repeat(song()[5 * 24_000 : 6 * 24_000], 2, axis=1)
    path = tmp_path / f"loop.{suffix}"
    soundfile.write(path, np.tile(music, (13, 1)), 24_000, compression_level=quality)
    meter = FaultMeter()
    load_audio(path, on_block=meter.push)
    assert meter.faults() == ("a loop of 1.00 s",)


def test_a_struck_note_again_and_again_is_a_loop_and_one_note_is_none() -> None:
    assert find_faults(repeated(bass_note(0.5, decay=6), 12), RATE) == ("a loop of 0.50 s",)
    for decay in (0.0, 0.1, 0.5, 1.0):
        assert find_faults(bass_note(12, decay), RATE) == ()


@pytest.mark.parametrize("frequencies", [(440,), (441.3,), (440, 554.37, 659.26), (110, 220, 330)])
def test_steady_tones_are_no_loop(frequencies) -> None:
    assert [f for f in find_faults(tones(12, *frequencies), RATE) if "loop" in f] == []


def test_a_drum_loop_of_two_seconds_with_variations_is_music() -> None:
    """The bass drum, which has nearly all of the energy, is the same in every bar."""
    drum = 10 * hits(list(np.arange(0, 16, 0.5)), 16, decay=20, highest=150)
    rng = np.random.default_rng(0)
    hats = [eighth / 4 for eighth in range(64) if rng.random() < 0.6]
    played = drum + 0.3 * hits(hats, 16, decay=40, highest=15_000)
    assert np.square(drum).sum() > 0.9 * np.square(played).sum()
    assert find_faults(played, RATE) == ()
    bar = 2 * RATE
    assert find_faults(repeated(played[:bar], 16), RATE) == ("a loop of 2.00 s",)


@pytest.mark.parametrize("second", [0, 7, 13])
def test_a_loop_that_once_goes_elsewhere_is_none(second) -> None:
    samples = repeated(noise(1), 14)
    samples[second * RATE : (second + 1) * RATE] = noise(1, 3)[:, 2:]
    assert find_faults(samples, RATE) == ()


def test_silence_before_a_loop_does_not_hide_it() -> None:
    samples = np.concatenate([np.zeros((RATE * 3 // 2, 1)), repeated(noise(1), 12)])
    assert find_faults(samples, RATE) == ("a loop of 1.00 s",)


# --- blocks, rates, music ---


@pytest.mark.parametrize("size", [1, 997, RATE, 10**9])
def test_faults_do_not_depend_on_the_blocks(size) -> None:
    rate = 1_500 if size == 1 else RATE
    samples = repeated(np.clip(noise(1, 2, level=0.8), -1, 1), 8.7)[: round(8.7 * rate)]
    samples[:, 1] *= np.float32(0.00009)
    samples[:, 0] += np.float32(0.05)
    expected = find_faults(samples, rate)
    assert len(expected) >= 4
    meter = FaultMeter()
    for start in range(0, len(samples), size):
        meter.push(samples[start : start + size], rate)
        meter.push(samples[:0], rate)
    assert meter.faults() == meter.faults() == expected


def test_faults_so_far_leave_the_meter_as_it_was() -> None:
    meter, samples = FaultMeter(), repeated(noise(1), 12)
    for block in np.array_split(samples, 7):
        meter.push(block, RATE)
        meter.faults()
    assert meter.faults() == find_faults(samples, RATE) == ("a loop of 1.00 s",)


def test_rate_and_channels_may_change_on_the_way() -> None:
    meter = FaultMeter()
    for rate, channels in ((44_100, 1), (22_050, 2), (1_000, 1), (768_000, 2)):
        meter.push(noise(3.4, channels, rate=rate), rate)
    assert meter.faults() == ()
    meter = FaultMeter()
    for rate in (RATE, 24_000):
        meter.push(noise(4, rate=rate), rate)
    assert meter.faults() == ("shorter than 10 s (8.0 s)",)


@pytest.mark.parametrize("seed", range(1, 13))
def test_composed_songs_have_no_faults(seed) -> None:
    assert find_faults(song(seed, seconds=12.0), 24_000) == ()


@pytest.mark.skipif(not EXAMPLE.exists(), reason="needs the example song")
def test_a_song_of_the_challenge_has_no_faults() -> None:
    meter = FaultMeter()
    load_audio(EXAMPLE, on_block=meter.push)
    assert meter.faults() == ()
