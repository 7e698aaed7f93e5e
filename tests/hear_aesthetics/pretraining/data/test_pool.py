"""Audio for training: rendered or the user's, the same every time, and mixed anew."""

import json

import numpy as np
import pytest
import soundfile
import torch

from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.data import pool as pools
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.data.pool import Pool, open_pool
from hear_aesthetics.pretraining.data.synthetic_clips import KINDS, render_clip
from hear_aesthetics.spec import SAMPLE_RATE


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_sound_is_finite_and_as_long_as_asked(kind):
    wave = KINDS[kind][0](4.0, np.random.default_rng(5))
    assert wave.shape == (4 * SAMPLE_RATE,)
    assert np.isfinite(wave).all()
    assert np.std(wave) > 1e-3


def test_a_clip_depends_on_its_seed_and_index_alone():
    one = render_clip(1, 2, 4.0)
    assert np.array_equal(one, render_clip(1, 2, 4.0))
    assert not np.array_equal(one, render_clip(1, 3, 4.0))
    assert np.abs(one).max() <= 1.0


def test_a_pool_is_made_once_and_replaced_only_on_demand(tmp_path, monkeypatch):
    first = open_pool(tmp_path, None, seed=1, clips=2)
    monkeypatch.setattr(pools, "render_clip", None)  # would fail if it were called
    again = open_pool(tmp_path, None, seed=1, clips=2)
    assert np.array_equal(first.clips, again.clips)
    with pytest.raises(InputError, match=r"clips was 2, now 3\); take another --out, or --over"):
        open_pool(tmp_path, None, seed=1, clips=3)
    open_pool(tmp_path, None, seed=1, clips=2, overwrite=True)  # nothing to replace
    monkeypatch.undo()
    assert len(open_pool(tmp_path, None, seed=1, clips=3, overwrite=True).clips) == 3


@pytest.mark.parametrize("about", ["", "[1]", "[" * 100_000])
def test_a_damaged_pool_is_made_again(tmp_path, about):
    whole = np.array(open_pool(tmp_path, None, seed=1, clips=2).clips)
    (tmp_path / "pool.json").write_text(about)
    assert np.array_equal(open_pool(tmp_path, None, seed=1, clips=2).clips, whole)


def test_a_pool_of_other_recordings_is_kept(tmp_path, write_tone):
    for name in ("one", "two"):
        write_tone(tmp_path / "audio" / f"{name}.wav", seconds=3)
    first = np.array(open_pool(tmp_path / "pool", tmp_path / "audio", seed=1, clips=9).clips)
    write_tone(tmp_path / "audio" / "three.wav", seconds=3)
    with pytest.raises(InputError, match="other settings or data"):
        open_pool(tmp_path / "pool", tmp_path / "audio", seed=1, clips=9)
    assert np.array_equal(np.load(tmp_path / "pool" / "pool.npy"), first)


def test_a_pool_whose_writer_was_killed_is_made_again(tmp_path):
    whole = np.array(open_pool(tmp_path, None, seed=1, clips=2).clips)
    (tmp_path / "pool.json").unlink()
    (tmp_path / "pool.npy").write_bytes(b"torn")
    assert np.array_equal(open_pool(tmp_path, None, seed=1, clips=2).clips, whole)


def test_a_folder_of_recordings_becomes_clips_and_a_bad_file_is_left_out(tmp_path, caplog):
    audio, samples = tmp_path / "audio", 0.5 * np.sin(0.3 * np.arange(20 * 8000))
    audio.mkdir()
    soundfile.write(audio / "long.wav", samples, 8000)  # two clips, and half of one
    soundfile.write(audio / "short.wav", samples[:8000], 8000)  # too short to be one
    (audio / "bad.wav").write_bytes(b"no audio")
    pool = open_pool(tmp_path / "pool", audio, seed=1, clips=100)
    assert len(pool.clips) == 3
    assert "bad.wav" in caplog.text
    assert np.abs(pool.crop(0, 0, 1000)).max() == pytest.approx(0.5, abs=0.02)
    assert json.loads((tmp_path / "pool" / "pool.json").read_text())["seed"] == 1


def test_a_folder_with_hardly_any_audio_is_an_error(tmp_path):
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "one.wav", np.zeros(3 * 8000), 8000)
    with pytest.raises(InputError, match="1 clips of audio; give"):
        open_pool(tmp_path / "pool", tmp_path / "audio", seed=1, clips=10)
    with pytest.raises(InputError, match="at least 2"):
        open_pool(tmp_path / "pool", None, seed=1, clips=1)


def test_batches_depend_on_seed_purpose_and_step(pool: Pool):
    def draw(*key: object) -> torch.Tensor:
        return draw_batch(pool, generator(*key), 2, 9600)

    one = draw(1, "train", 5)
    assert one.shape == (2, 9600)
    assert one.dtype == torch.float32
    assert torch.equal(one, draw(1, "train", 5))
    for other in ((2, "train", 5), (1, "held out", 5), (1, "train", 6)):
        assert not torch.equal(one, draw(*other))


def test_held_out_clips_are_drawn_for_evaluation_only(pool: Pool):
    last = len(pool.clips) - pool.held_out
    silent = np.array(pool.clips)
    silent[last:] = 0
    deaf = Pool(silent, pool.about)
    for held_out, same in ((False, True), (True, False)):
        drawn = [
            draw_batch(which, generator(1, "x", 0), 8, 9600, held_out=held_out)
            for which in (pool, deaf)
        ]
        assert torch.equal(*drawn) == same


def test_levels_of_examples_span_thirty_decibels(pool: Pool):
    level = 20 * draw_batch(pool, generator(1, "x", 0), 64, 9600).std(dim=1).log10()
    assert float(level.max()) > -16
    assert float(level.min()) < -34
