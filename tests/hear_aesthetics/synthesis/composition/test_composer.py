from dataclasses import replace

import numpy as np
import pytest

from hear_aesthetics.synthesis import (
    STYLES,
    Composition,
    Generator,
    Qualities,
    compose,
    demo_song,
    describe,
    render,
    render_layers,
)

BEST = Qualities()


def _pair(quality: str, seed: int = 2, seconds: float = 40.0) -> tuple[Composition, Composition]:
    return compose(seed, seconds, BEST), compose(seed, seconds, replace(BEST, **{quality: 1.0}))


def _rest_share(song: Composition) -> float:
    """Share of the time in which the rendered lead is silent."""
    lead = render_layers(song)["lead"]
    envelope = np.sqrt(np.convolve(lead**2, np.ones(1200) / 1200, "same")[::240])
    return float(np.mean(envelope < 0.05 * np.quantile(envelope, 0.9)))


@pytest.mark.parametrize("style", STYLES)
def test_every_style_composes_and_renders(style: str) -> None:
    song = compose(1, 8.0, style=style)
    assert song.style == style
    assert {"lead"} < {note.layer for note in song.notes}
    assert all(0 <= note.onset < song.seconds for note in song.notes)
    assert np.isfinite(render(song, 8_000)).all()


def test_a_song_is_written_in_order_and_within_its_time() -> None:
    song = compose(3, 61.5, Qualities(1.0, 1.0, 1.0, 1.0, 1.0))
    onsets = [note.onset for note in song.notes]
    assert onsets == sorted(onsets)
    assert song.sections[0].start == 0.0
    assert song.sections[-1].end == pytest.approx(60.5)
    assert song.chords[-1].end == pytest.approx(60.5)


def test_coherence_alone_changes_keys_and_tempi_and_not_the_form() -> None:
    best, worst = _pair("coherence")
    assert len(best.keys) == len(best.tempi) == len(best.takes) == 1
    assert len(worst.keys) > 3
    assert len(worst.tempi) > 3
    assert len(worst.takes) > 3
    assert [s.name for s in best.sections] == [s.name for s in worst.sections]
    assert len(best.chords) == len(worst.chords)


def test_musicality_leaves_rhythm_key_and_tempo_alone() -> None:
    best, worst = _pair("musicality")
    assert best.keys == worst.keys
    assert best.tempi == worst.tempi
    assert best.chords != worst.chords
    assert [n.onset for n in best.layer("lead")] == [n.onset for n in worst.layer("lead")]


def test_memorability_changes_nothing_but_the_lead_and_what_doubles_it() -> None:
    best, worst = _pair("memorability")
    for layer in ("chords", "bass", "pad", "arpeggio", "drums"):
        assert best.layer(layer) == worst.layer(layer)
    assert best.layer("lead") != worst.layer("lead")
    assert best.layer("hook")
    assert not worst.layer("hook")
    assert best.production == worst.production


def test_clarity_moves_layers_together_and_blurs_the_mix() -> None:
    best, worst = _pair("clarity")
    assert best.layer("lead") == worst.layer("lead")

    def distance(song: Composition) -> float:
        lead = np.mean([note.pitch for note in song.layer("lead")])
        others = [n.pitch for n in song.notes if n.layer in ("chords", "pad", "bass")]
        return abs(float(lead - np.mean(others)))

    assert distance(worst) < distance(best) - 4
    assert worst.production.reverb_seconds > 2 * best.production.reverb_seconds
    assert worst.production.noise_db > best.production.noise_db + 20
    assert worst.production.rms_db == best.production.rms_db
    assert worst.production.centroid_hz == best.production.centroid_hz


def test_naturalness_changes_only_how_the_lead_is_performed() -> None:
    best, worst = _pair("naturalness")
    assert [n for n in best.notes if n.layer != "lead"] == [
        n for n in worst.notes if n.layer != "lead"
    ]
    assert len(best.layer("lead")) == len(worst.layer("lead"))
    assert best.performance.vibrato_cents > 20
    assert worst.performance.vibrato_cents == 0
    assert _rest_share(best) > _rest_share(worst) + 0.03


def test_the_number_of_bars_follows_the_tempo() -> None:
    slow, fast = (compose(1, 60.0, style="pop", tempo=tempo) for tempo in (60.0, 120.0))
    assert len(fast.chords) == pytest.approx(2 * len(slow.chords), abs=2)  # whole units
    assert describe(fast).tempo_bpm == pytest.approx(120, rel=0.06)


def test_a_generator_brings_its_style() -> None:
    folk = Generator("S001", styles=("folk",))
    assert {compose(seed, 10.0, generator=folk).style for seed in range(4)} == {"folk"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": 1.0}, "too short to compose; ask for 4.0 s or more"),
        ({"style": "polka"}, "unknown style 'polka'; choose one of: pop, folk"),
        ({"form": "AXA"}, "unknown form 'AXA'; write one letter of A, B, C per section"),
        ({"form": ""}, "unknown form ''"),
    ],
)
def test_what_cannot_be_composed_is_refused_with_the_remedy(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compose(0, **arguments)


def test_demo_song_has_sections_that_a_self_similarity_picture_shows() -> None:
    song = demo_song(seconds=24.0, seed=0, sample_rate=24_000)
    assert song.shape == (24 * 24_000,)
    assert np.array_equal(song, demo_song(24.0, 0, 24_000))
    frames = song[: len(song) // 2400 * 2400].reshape(-1, 2400)
    spectra = np.log(np.abs(np.fft.rfft(frames, axis=1)).reshape(len(frames), -1)[:, 1:1201] + 1e-3)
    blocks = spectra.reshape(-1, 10, 40, 30).mean(axis=(1, 3))  # one spectrum per second
    sections = compose(0, 24.0, style="pop", form="ABA").sections
    means = [blocks[round(s.start) + 1 : round(s.end) - 1].mean(axis=0) for s in sections]
    same, other = np.abs(means[0] - means[2]).mean(), np.abs(means[0] - means[1]).mean()
    assert same < 0.6 * other
