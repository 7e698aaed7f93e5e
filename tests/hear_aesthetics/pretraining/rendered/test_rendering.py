"""A pool is what its seed says, in however many processes, and goes on after a kill."""

import numpy as np
import pytest

from hear_aesthetics.errors import DataUnavailableError, InputError
from hear_aesthetics.pretraining.rendered import rendering
from hear_aesthetics.pretraining.rendered.labels import LabelledClip, LabelSheet
from hear_aesthetics.pretraining.rendered.pool import RenderedPool
from hear_aesthetics.pretraining.rendered.sources import Source

SECONDS = 0.4
HOURS = 5 * 64 * 5.0 / 3600  # five chunks


def speech(seed: int, first: int, count: int, seconds: float, held_out: bool) -> list[LabelledClip]:
    sheet = LabelSheet(SECONDS).labels(has_music=False, has_speech=True)
    wave = np.zeros(9600, np.float32)
    return [LabelledClip(wave + (first + i) / 1000, sheet, f"{held_out}") for i in range(count)]


def other(chunk: rendering._Chunk, rng: np.random.Generator) -> LabelledClip:
    sheet = LabelSheet(SECONDS)
    sheet.add_note(0.1, 0.2, 60, 3)
    wave = rng.uniform(-0.5, 0.5, 9600).astype(np.float32)
    return LabelledClip(wave, sheet.labels(has_music=True), "made")


@pytest.fixture(autouse=True)
def made(monkeypatch, tmp_path):
    """Let this process make clips that need no sound font."""
    monkeypatch.setattr(rendering, "speech_clips", speech)
    monkeypatch.setattr(rendering, "_other", other)
    monkeypatch.setattr(rendering, "PACKAGES", ())
    monkeypatch.setattr(
        rendering, "in_processes", lambda f, items, n: ((item, f(item)) for item in items)
    )
    place = tmp_path / "font.sf2"
    place.write_bytes(b"notes")
    source = Source("Font", "font", "1", str(place), "MIT", "Somebody")
    monkeypatch.setattr(
        rendering, "sources", lambda: dict.fromkeys(("fluid", "musescore", "sonic_pi"), source)
    )


def test_a_pool_holds_what_was_rendered(tmp_path):
    pool = rendering.render_pool(tmp_path / "pool", hours=HOURS, seed=4)
    assert (len(pool), pool.held_out) == (320, 64)
    clip = pool.clip(64 + 30)
    expected = other(None, np.random.default_rng((4, 1, 30)))  # type: ignore[arg-type]
    np.testing.assert_allclose(clip.samples, expected.samples, atol=1 / 32767)
    for name, values in vars(expected.labels).items():
        np.testing.assert_array_equal(getattr(clip.labels, name), values)
    assert [pool.clip(index).source for index in (0, 255, 256, 300)] == [
        *("False", "made", "True", "made")
    ]


def test_an_unfinished_pool_is_gone_on_with(tmp_path, monkeypatch):
    folder, whole = tmp_path / "pool", rendering.render_pool(tmp_path / "whole", hours=HOURS)
    done = []

    def dies(chunk):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(chunk.number)
        rendering_render(chunk)

    rendering_render = rendering._render
    monkeypatch.setattr(rendering, "_render", dies)
    with pytest.raises(KeyboardInterrupt):
        rendering.render_pool(folder, hours=HOURS)
    with pytest.raises(InputError, match="render one"):
        RenderedPool(folder)
    monkeypatch.setattr(
        rendering, "_render", lambda c: (done.append(c.number), rendering_render(c))
    )
    pool = rendering.render_pool(folder, hours=HOURS)
    assert sorted(done) == [0, 1, 2, 3, 4]
    for index in (3, 70, 200, 319):
        assert np.array_equal(pool.clip(index).samples, whole.clip(index).samples)


def test_another_pool_is_not_overwritten(tmp_path):
    rendering.render_pool(tmp_path / "pool", hours=HOURS, seed=1)
    with pytest.raises(InputError, match="seed was 1, now 2"):
        rendering.render_pool(tmp_path / "pool", hours=HOURS, seed=2)


def test_too_little_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ask for 0\.18 at least"):
        rendering.render_pool(tmp_path / "pool", hours=0.01)


def test_a_missing_package_names_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "PACKAGES", ("no-such-synthesizer",))
    with pytest.raises(DataUnavailableError, match="pip install --no-deps no-such-synthesizer"):
        rendering.render_pool(tmp_path / "pool", hours=HOURS)


def test_a_damaged_chunk_is_named(tmp_path):
    pool = rendering.render_pool(tmp_path / "pool", hours=HOURS)
    (tmp_path / "pool" / "chunk-0002.npy").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"chunk-0002\.npy: .*render the pool again"):
        pool.clip(2 * 64)
