"""Variants: each changes what its name says and nothing else."""

import numpy as np
import pytest
import soundfile

from hear_aesthetics.audio.loading import convert, load_audio, load_waveforms
from hear_aesthetics.audio.waveforms import ENCODER_FORMAT, WaveformFormat
from hear_aesthetics.errors import AudioError, InputError
from songeval_task.audit import variants
from songeval_task.audit.samples import Audio, decode, loudness_of
from songeval_task.audit.variants import GROUPS, ORIGINAL, VARIANTS, choose_variants

RATE = 44_100
BY_NAME = {variant.name: variant for variant in VARIANTS}
AVAILABLE = [variant for variant in VARIANTS if not variant.missing]


@pytest.fixture(scope="module")
def stereo() -> Audio:
    """Six seconds of two unlike channels, read-only."""
    times = np.arange(6 * RATE) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 220 * times)
    noise = 0.05 * np.random.default_rng(0).standard_normal((times.size, 2))
    samples = (tone[:, None] * [1.0, 0.5] + noise).astype(np.float32)
    samples.flags.writeable = False
    return Audio(samples, RATE)


def made(name: str, audio: Audio) -> Audio:
    variant = BY_NAME[name]
    if variant.missing:
        pytest.skip(variant.missing)
    return variant.apply(audio)


def heard(audio: Audio) -> np.ndarray:
    """The waveform of the encoders."""
    return convert(*audio, (ENCODER_FORMAT,)).by_name[str(ENCODER_FORMAT)]


def decibels(samples: np.ndarray) -> float:
    return 10 * np.log10(np.square(samples, dtype=np.float64).mean())


def test_names_are_told_apart() -> None:
    assert len(BY_NAME) == len(VARIANTS)
    assert ORIGINAL.name not in BY_NAME


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("variant", AVAILABLE, ids=lambda variant: variant.name)
def test_a_variant_is_float32_and_the_same_each_time(variant, channels, stereo) -> None:
    audio = stereo._replace(samples=stereo.samples[:, :channels].copy())
    audio.samples.flags.writeable = False
    first, second = variant.apply(audio), variant.apply(audio)
    assert first.samples.dtype == np.float32
    assert first.samples.ndim == 2
    assert first.sample_rate == second.sample_rate
    np.testing.assert_array_equal(first.samples, second.samples)


@pytest.mark.parametrize("db", [-12, -6, -3, 3, 6])
def test_gain_moves_the_loudness_by_its_decibels_and_never_clips(stereo, db) -> None:
    loud = stereo._replace(samples=4 * stereo.samples)
    found = made(f"gain {db:+d} dB", loud)
    assert loudness_of(found) - loudness_of(loud) == pytest.approx(db, abs=0.1)
    np.testing.assert_allclose(found.samples, loud.samples * 10 ** (db / 20), rtol=1e-6)


@pytest.mark.parametrize("db", [6, 12])
def test_clipping_is_gain_within_full_scale(stereo, db) -> None:
    loud = stereo._replace(samples=3 * stereo.samples)
    found = made(f"clipped at {db:+d} dB", loud).samples
    expected = np.clip(loud.samples * 10 ** (db / 20), -1, 1)
    assert np.abs(found).max() == 1
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("lufs", [-14, -23])
def test_loudness_is_what_is_asked_for(stereo, lufs) -> None:
    assert loudness_of(made(f"loudness {lufs} LUFS", stereo)) == pytest.approx(lufs, abs=0.01)


def test_silence_keeps_its_loudness() -> None:
    silence = Audio(np.zeros((RATE, 2), np.float32), RATE)
    assert not made("loudness -14 LUFS", silence).samples.any()
    assert not made("noise at 30 dB SNR", silence).samples.any()


@pytest.mark.parametrize("kilohertz", ["16", "22.05", "32", "48"])
def test_resampling_changes_the_rate_and_keeps_the_time(stereo, kilohertz) -> None:
    found = made(f"resampled to {kilohertz} kHz", stereo)
    assert found.sample_rate == float(kilohertz) * 1000
    assert len(found.samples) / found.sample_rate == pytest.approx(6.0, abs=1e-4)
    assert np.abs(np.fft.rfft(found.samples[:, 0])).argmax() == 6 * 220


@pytest.mark.parametrize("kilohertz", [4, 8, 12])
def test_a_low_pass_passes_below_and_stops_above(stereo, kilohertz) -> None:
    found = made(f"low-pass {kilohertz} kHz", stereo)
    hertz = np.fft.rfftfreq(len(stereo.samples), 1 / RATE)
    gain = np.abs(np.fft.rfft(found.samples[:, 0])) / np.abs(np.fft.rfft(stereo.samples[:, 0]))
    below, above = hertz < 700 * kilohertz, hertz > 1500 * kilohertz
    assert np.median(gain[below]) == pytest.approx(1, abs=0.01)
    assert np.median(gain[above]) < 0.01


def test_a_low_pass_above_all_there_is_does_nothing() -> None:
    audio = Audio(np.random.default_rng(0).random((8_000, 1), np.float32), 8_000)
    assert made("low-pass 4 kHz", audio) is audio


def test_mono_swapped_and_inverted_channels_are_what_they_say(stereo) -> None:
    left, right = stereo.samples.T
    np.testing.assert_array_equal(made("channels swapped", stereo).samples.T, [right, left])
    np.testing.assert_array_equal(made("polarity inverted", stereo).samples, -stereo.samples)
    mono = made("mono", stereo).samples
    np.testing.assert_allclose(mono[:, 0], (left + right) / 2, atol=1e-7)


def test_the_pipeline_hears_no_difference_between_swapped_channels(stereo) -> None:
    before = heard(stereo)
    for name in ("mono", "channels swapped"):
        np.testing.assert_allclose(heard(made(name, stereo)), before, atol=1e-6)


def test_a_mono_file_is_its_own_downmix_and_swap(stereo) -> None:
    audio = stereo._replace(samples=stereo.samples[:, :1])
    for name in ("mono", "channels swapped"):
        np.testing.assert_array_equal(made(name, audio).samples, audio.samples)


def test_further_channels_stay_in_place(stereo) -> None:
    samples = np.concatenate([stereo.samples, stereo.samples[:, :1]], axis=1)
    found = made("channels swapped", Audio(samples, RATE)).samples
    np.testing.assert_array_equal(found, samples[:, [1, 0, 2]])


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1, 2, 5])
def test_crops_leave_the_rest(stereo, seconds) -> None:
    found = made(f"without first {seconds} s", stereo).samples
    np.testing.assert_array_equal(found, stereo.samples[round(seconds * RATE) :])


@pytest.mark.parametrize("seconds", [1, 5])
def test_silence_is_added_before_or_after(stereo, seconds) -> None:
    before = made(f"{seconds} s of silence before", stereo).samples
    after = made(f"{seconds} s of silence after", stereo).samples
    silence = np.zeros((seconds * RATE, 2), np.float32)
    np.testing.assert_array_equal(before, np.concatenate([silence, stereo.samples]))
    np.testing.assert_array_equal(after, np.concatenate([stereo.samples, silence]))


@pytest.mark.parametrize("snr", [50, 40, 30])
def test_noise_has_its_ratio_to_the_signal(stereo, snr) -> None:
    noise = made(f"noise at {snr} dB SNR", stereo).samples - stereo.samples
    assert decibels(stereo.samples) - decibels(noise) == pytest.approx(snr, abs=0.1)
    other = made(f"noise at {snr} dB SNR", stereo._replace(samples=stereo.samples[1:]))
    new = other.samples - stereo.samples[1:]
    assert abs(np.corrcoef(new[:, 0], noise[1:, 0])[0, 1]) < 0.05  # other songs, other noise


def pitch_of(audio: Audio) -> float:
    """Frequency of the strongest partial in Hz."""
    samples = audio.samples[RATE // 2 : -RATE // 2, 0]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 16 * len(samples)))
    return float(spectrum.argmax()) * audio.sample_rate / (16 * len(samples))


@pytest.mark.parametrize("percent", [-1, 1])
@pytest.mark.parametrize("hertz", [110, 220, 1000])
def test_pitch_moves_the_notes_and_tempo_the_time(percent, hertz) -> None:
    times = np.arange(6 * RATE) / RATE
    tone = Audio((0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)[:, None], RATE)
    factor = 1 + percent / 100
    higher, faster = made(f"pitch {percent:+d}%", tone), made(f"tempo {percent:+d}%", tone)
    assert pitch_of(higher) == pytest.approx(hertz * factor, rel=5e-4)
    assert len(higher.samples) == pytest.approx(len(tone.samples), abs=2)
    assert pitch_of(faster) == pytest.approx(hertz, rel=5e-4)
    assert len(faster.samples) == pytest.approx(len(tone.samples) / factor, abs=2)


def test_groups_choose_variants_in_the_order_of_the_table() -> None:
    chosen = choose_variants(["mp3", "gain"])
    assert [v.group for v in chosen] == ["gain"] * 5 + ["mp3"] * 3
    assert choose_variants() == VARIANTS
    with pytest.raises(InputError, match=f"unknown variants flanger; known: {GROUPS[0]}, "):
        choose_variants(["gain", "flanger"])


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch) -> None:
    monkeypatch.setattr(variants, "find_spec", lambda name: None)
    reasons = {v.group: v.missing for v in VARIANTS if v.missing}
    assert set(reasons) == {"aac", "pitch", "tempo"}
    assert reasons["aac"] == 'av is not installed: pip install "hear-aesthetics[av]"'
    assert '"hear-aesthetics[train]"' in reasons["pitch"]


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
def test_decoded_samples_go_the_way_of_the_file(tmp_path, stereo, rate) -> None:
    soundfile.write(tmp_path / "a.wav", stereo.samples, rate, subtype="FLOAT")
    audio = decode(tmp_path / "a.wav")
    np.testing.assert_array_equal(audio.samples, stereo.samples)
    np.testing.assert_array_equal(heard(audio), load_audio(tmp_path / "a.wav"))
    formats = ENCODER_FORMAT, WaveformFormat(16_000, "sinc")
    whole = load_waveforms(tmp_path / "a.wav", formats)
    for name, waveform in convert(*audio, formats).by_name.items():
        np.testing.assert_array_equal(waveform, whole.by_name[name])
    span = decode(tmp_path / "a.wav", start=1.0, end=2.5)
    assert len(span.samples) == 1.5 * rate


def test_a_file_whose_rate_changes_within_is_refused(tmp_path, stereo) -> None:
    parts = []
    for rate in (32_000, 44_100):
        soundfile.write(tmp_path / "part.ogg", stereo.samples[:RATE], rate)
        parts.append((tmp_path / "part.ogg").read_bytes())
    (tmp_path / "both.ogg").write_bytes(b"".join(parts))
    with pytest.raises(AudioError, match=r"both\.ogg: rate or channels change within it; convert"):
        decode(tmp_path / "both.ogg")
