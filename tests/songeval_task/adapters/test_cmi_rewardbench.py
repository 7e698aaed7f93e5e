"""The CMI-RewardBench model under a small stand-in of the loop that calls it."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hear_aesthetics.audio import load_audio
from hear_aesthetics.cli import main
from hear_aesthetics.errors import AudioError, InputError
from musiceval_task.features.tiny_text import write_tiny_roberta
from songeval_task import AestheticScorer
from songeval_task.adapters.cmi_rewardbench import HearAestheticsRewardModel

CLASS_PATH = "songeval_task.adapters.cmi_rewardbench:HearAestheticsRewardModel"
PROMPTS = ("a slow waltz", "solo flute")


@dataclass
class Item:
    """Item in the benchmark's format."""

    audio: str | torch.Tensor
    text: str = ""
    lyrics: str = ""
    ref_audio: Any = None


def benchmark(items: Sequence[Item], max_dur: float = 30.0, **init_kwargs: Any) -> np.ndarray:
    """Scores of all items, two at a time, as the benchmark builds and calls a model."""
    module, _, name = CLASS_PATH.partition(":")
    cls = getattr(import_module(module), name)
    assert hasattr(cls, "sr")
    init_kwargs = {"model": "mini", **init_kwargs}
    init_kwargs.setdefault("checkpoint", "demo")
    init_kwargs.setdefault("device", "cpu")
    model = cls(**init_kwargs)
    parts = []
    for start in range(0, len(items), 2):
        batch = list(items[start : start + 2])
        scores = model.score_batch(inputs=batch, batch_size=len(batch), max_dur=max_dur)
        assert isinstance(scores, np.ndarray)
        assert scores.shape == (len(batch), 2)
        parts.append(scores)
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, write_clip) -> list[str]:
    folder = tmp_path_factory.mktemp("clips")
    lengths = [1.0, 1.5, 1.0]
    return [
        str(write_clip(folder / f"{seed}.wav", seconds, seed, 44_100))
        for seed, seconds in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, write_clip) -> str:
    """A MusicEval run of one epoch."""
    folder = tmp_path_factory.mktemp("musiceval")
    rows = ["path,prompt,overall,textual,system"]
    for number in range(9):
        clip = write_clip(folder / f"{number}.wav", 0.5, number)
        rows.append(f"{clip},{PROMPTS[number % 2]},{1 + number % 4},{1 + number % 3},S{number % 3}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    write_tiny_roberta(folder / "text", PROMPTS, dim=16, layers=1)
    words = f"musiceval train {folder}/clips.csv --model mini --text {folder}/text --member coral"
    with pytest.raises(SystemExit) as exit_:
        main([*words.split(), "--epochs", "1", "--out", f"{folder}/runs"])
    assert not exit_.value.code
    return f"{folder}/runs/coral"


def test_columns_are_alignment_of_the_run_and_the_mean_of_the_head(
    run: str, clips: list[str]
) -> None:
    """The benchmark reads column 0 as alignment and column 1 as musicality."""
    items = [Item(clip, PROMPTS[n % 2]) for n, clip in enumerate(clips)]
    found = benchmark(items, alignment=run)
    scorer = AestheticScorer.from_pretrained("demo", run, model="mini")
    for row, item in zip(found, items, strict=True):
        scores = scorer.score(item.audio, prompt=item.text)
        expected = [scores.values["coral:TextAlignment"], scores.means["mean"]]
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-5)


def test_waveforms_score_as_the_files_they_are_of(run: str, clips: list[str]) -> None:
    """Items hold paths or waveforms at ``sr``, in any mixture and with any number of channels."""
    model = HearAestheticsRewardModel("demo", "cpu", alignment=run, model="mini")
    waves = [torch.from_numpy(load_audio(clip, model.sr)) for clip in clips]
    mixed = [
        Item(waves[0], PROMPTS[0]),
        Item(clips[1], PROMPTS[1]),
        Item(waves[2].expand(2, -1), PROMPTS[0]),
    ]
    files = [Item(clip, item.text) for clip, item in zip(clips, mixed, strict=True)]
    both = [model.score_batch(items, batch_size=3) for items in (mixed, files)]
    np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-5)


def test_only_the_first_seconds_are_scored(run: str, tmp_path: Path, write_clip) -> None:
    """``max_dur`` cuts files and waveforms alike."""
    path = str(write_clip(tmp_path / "long.wav", seconds=3.0, seed=9))
    wave = torch.from_numpy(load_audio(path))
    items = [Item(path, PROMPTS[0]), Item(wave, PROMPTS[0])]
    whole, cut = (benchmark(items, alignment=run, max_dur=s) for s in (30.0, 0.5))
    expected = benchmark([Item(wave[:12_000], PROMPTS[0])] * 2, alignment=run)
    np.testing.assert_allclose(cut, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(cut - whole).min() > 1e-4


def test_an_item_without_text_has_no_alignment(run: str, clips: list[str]) -> None:
    """A number there would be the alignment with nothing."""
    found = benchmark([Item(clips[0]), Item(clips[0], PROMPTS[0])], alignment=run)
    assert np.isnan(found[:, 0]).tolist() == [True, False]
    assert found[0, 1] == pytest.approx(found[1, 1], abs=1e-5)


def test_alignment_is_left_out_on_request_alone(clips: list[str]) -> None:
    """A forgotten run must not become a column of numbers that nothing made."""
    found = benchmark([Item(clips[0], PROMPTS[0])], alignment=None)
    assert np.isnan(found[0, 0])
    assert np.isfinite(found[0, 1])
    with pytest.raises(InputError, match="alignment is missing"):
        benchmark([Item(clips[0])])
    with pytest.raises(InputError, match=r"demo: scores Coherence, .*, not TextAlignment"):
        benchmark([Item(clips[0])], alignment="demo")


def test_a_run_scores_both_by_itself(run: str, clips: list[str]) -> None:
    """The run's own impression may stand for musicality."""
    items = [Item(clips[0], PROMPTS[0])]
    found = benchmark(items, checkpoint=run, alignment=run, dimension="MusicImpression")
    values = AestheticScorer.from_pretrained(run, model="mini").score(clips[0], prompt=PROMPTS[0])
    expected = [[values.values["TextAlignment"], values.values["MusicImpression"]]]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_dimension_of_the_head_is_musicality(clips: list[str]) -> None:
    """The dimension that the user names is the one that is scored."""
    found = benchmark([Item(clips[0])], alignment=None, dimension="Musicality")
    scores = AestheticScorer.from_pretrained(model="mini").score(clips[0])
    assert found[0, 1] == pytest.approx(scores.values["Musicality"], abs=1e-5)
    with pytest.raises(InputError, match=r"demo: no dimension 'Groove'; it has mean, Coherence"):
        benchmark([Item(clips[0])], alignment=None, dimension="Groove")


def test_what_cannot_be_scored_is_an_error(clips: list[str], tmp_path: Path, caplog) -> None:
    """The benchmark stops at an error, and takes any number that it gets."""
    (tmp_path / "text.wav").write_text("no audio")
    model = HearAestheticsRewardModel("demo", "cpu", alignment=None, model="mini")
    assert "the scores mean nothing" in caplog.text
    with pytest.raises(AudioError, match=r"text\.wav"):
        model.score_batch([Item(clips[0]), Item(str(tmp_path / "text.wav"))], batch_size=2)
    with pytest.raises(InputError, match="score_batch knows no speed"):
        model.score_batch([Item(clips[0])], batch_size=1, speed=2)
    with pytest.raises(ValueError, match=r"hold 0\.000 s of audio, a score needs"):
        model.score_batch([Item(torch.zeros(2, 10))], batch_size=1)
    assert model.score_batch([], batch_size=4).shape == (0, 2)
