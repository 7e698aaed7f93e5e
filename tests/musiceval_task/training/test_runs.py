"""Run folders: complete, reproducible, and made by encoders that training leaves alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.errors import CheckpointError, InputError
from musiceval_task.data.dataset import read_clips
from musiceval_task.features.states import AudioEncoder, StateStore
from musiceval_task.features.text import TextEncoder
from musiceval_task.features.tiny_text import write_tiny_roberta
from musiceval_task.predictions import ClipPredictions, read_predictions
from musiceval_task.training.inference import apply_head, predict_clips
from musiceval_task.training.loop import INNER, TrainingConfig
from musiceval_task.training.members import MEMBERS
from musiceval_task.training.released import fit_released
from musiceval_task.training.runs import (
    Encoders,
    check_encoders,
    encode,
    load_run,
    train_run,
)

CONFIG = TrainingConfig(epochs=2, batch_size=4, inner_share=0.5)


@pytest.fixture(scope="module")
def encoders(roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    store = StateStore(tmp_path_factory.mktemp("states"))
    return Encoders(AudioEncoder("mini", device="cpu"), TextEncoder(roberta), store)


@pytest.fixture(scope="module")
def run(small_set: Path, encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one-hot"
    clips = read_clips(small_set)
    examples = encode(clips, encoders)
    train_run(folder, MEMBERS["one-hot"], CONFIG, clips, examples, encoders, device="cpu")
    return folder


def test_a_run_folder_is_complete(run: Path) -> None:
    expected = "README.md config.json log.csv metrics.json model.safetensors run.json"
    expected += " predictions.parquet"
    assert sorted(path.name for path in run.iterdir()) == sorted(expected.split())
    config = json.loads((run / "config.json").read_text())
    known = config["provenance"]
    assert known["member"]["name"] == "one-hot"
    assert known["training"]["epochs"] == 2
    assert {"data_sha256", "text_sha256", "weights_sha256", "reads", "model"} <= set(known)
    assert len((run / "log.csv").read_text().splitlines()) == 3


def test_predictions_cover_every_split_and_say_which_is_inner(run: Path) -> None:
    found = read_predictions(run)
    assert len(found) == 9
    assert [found.splits.count(name) for name in ("train", INNER, "test")] == [3, 3, 3]
    assert found.distributions is not None


def test_metrics_are_those_of_the_reported_lists(run: Path) -> None:
    figures = json.loads((run / "metrics.json").read_text())
    assert set(figures) == {"test"}
    assert {row["level"] for row in figures["test"]} == {"utterance", "system"}


def test_a_loaded_run_predicts_what_it_predicted(
    run: Path, small_set: Path, encoders: Encoders
) -> None:
    clips = read_clips(small_set, ["test"])
    again = ClipPredictions.of(clips, *apply_head(load_run(run), encode(clips, encoders)))
    before = read_predictions(run).of_split("test").aligned_with(again.clips)
    np.testing.assert_allclose(again.scores, before.scores, atol=1e-6)


def test_frozen_means_frozen(small_set: Path, roberta: Path, tmp_path: Path) -> None:
    """Parameters and outputs of both encoders are bit for bit what they were before training."""
    encoders = Encoders(
        AudioEncoder("mini", device="cpu"), TextEncoder(roberta), StateStore(tmp_path / "states")
    )
    models = (encoders.audio.model, encoders.text.model)
    clips = read_clips(small_set)
    waveform = torch.from_numpy(load_audio(clips[0].path))[None]

    def outputs() -> list[torch.Tensor]:
        return [encoders.audio.states(waveform), *encoders.text.encode([clips[0].prompt])]

    tensors = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    heard = outputs()
    counted = encoders.text.encoded
    examples = encode(clips, encoders)
    train_run(
        tmp_path / "run",
        MEMBERS["coral"],
        CONFIG,
        clips,
        examples,
        encoders,
        device="cpu",
    )
    assert (encoders.audio.encoded, encoders.text.encoded - counted) == (9, 6)
    for model, before in zip(models, tensors, strict=True):
        assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(heard, outputs(), strict=True))


def test_encoders_run_once_per_clip_and_prompt_whatever_follows(
    small_set: Path, roberta: Path, tmp_path: Path
) -> None:
    """Counted at the networks themselves: two members, two predictions, one pass of each."""
    encoders = Encoders(
        AudioEncoder("mini", device="cpu"), TextEncoder(roberta), StateStore(tmp_path / "states")
    )
    rows = {"clips": 0, "prompts": 0}

    def count(kind: str):
        def hook(module, args, kwargs, output) -> None:
            rows[kind] += len((*args, *kwargs.values())[0])

        return hook

    muq = encoders.audio.model.fused.encoders["muq"]
    muq.encoder.register_forward_hook(count("clips"), with_kwargs=True)
    encoders.text.model.register_forward_hook(count("prompts"), with_kwargs=True)
    clips = read_clips(small_set)
    for name in ("gaussian-1984", "decoupled"):
        examples = encode(clips, encoders)
        out = tmp_path / name
        train_run(out, MEMBERS[name], CONFIG, clips, examples, encoders, device="cpu")
        apply_head(load_run(out), encode(clips, encoders))
    assert rows == {"clips": len(clips), "prompts": len({clip.prompt for clip in clips})}


def test_other_encoders_than_in_training_are_refused(
    run: Path, encoders: Encoders, tmp_path: Path
) -> None:
    head = load_run(run)
    check_encoders(head, encoders)
    other = TextEncoder(write_tiny_roberta(tmp_path, ["a"], dim=16, layers=1, seed=5))
    with pytest.raises(InputError, match="--text: not the encoder that the run was trained with"):
        check_encoders(head, Encoders(encoders.audio, other, encoders.store))


def test_clips_to_train_on_need_scores(musiceval: Path, encoders: Encoders) -> None:
    path = musiceval / "sets" / "train_mos_list.txt"
    path.write_text("\n".join(line.split(",")[0] for line in path.read_text().splitlines()))
    clips = read_clips(musiceval)
    with pytest.raises(InputError, match="no scores, and it is in the train list"):
        train_run(musiceval / "run", MEMBERS["coral"], CONFIG, clips, [], encoders, device="cpu")


def test_a_finished_run_is_kept_and_another_refused(
    musiceval: Path, encoders: Encoders, tmp_path: Path
) -> None:
    clips, config = read_clips(musiceval), TrainingConfig(epochs=1, inner_share=0.5)
    examples = encode(clips, encoders)

    def train(name: str = "coral", overwrite: bool = False, **changes: Any) -> list[int]:
        epochs: list[int] = []
        train_run(
            tmp_path / "run",
            MEMBERS[name],
            replace(config, **changes),
            clips,
            examples,
            encoders,
            overwrite=overwrite,
            device="cpu",
            on_epoch=lambda epoch: epochs.append(epoch.epoch),
        )
        return epochs

    assert train() == [1]
    assert train() == [], "nothing is trained again"
    with pytest.raises(InputError, match=r"run: .*training\.epochs was 1, now 2.*--overwrite"):
        train(epochs=2)
    with pytest.raises(InputError, match=r"member\.name was coral, now one-hot"):
        train("one-hot")
    clips[0].path.write_bytes(clips[1].path.read_bytes())
    with pytest.raises(InputError, match=r"clips\.audio_sha256 was"):
        train()
    assert train("one-hot", overwrite=True, epochs=2) == [1, 2]
    (tmp_path / "run" / "metrics.json").unlink()
    assert train("one-hot", epochs=2) == [1, 2], "an interrupted run is trained to its end"


def test_a_run_of_an_earlier_version_loads_and_is_not_trained_again(
    run: Path, small_set: Path, encoders: Encoders, tmp_path: Path
) -> None:
    """Its recipe was called protocol."""
    old = Path(shutil.copytree(run, tmp_path / "old"))
    for name in ("config.json", "run.json"):
        (old / name).write_text((old / name).read_text().replace('"recipe"', '"protocol"'))
    weights = old / "model.safetensors"
    with safe_open(weights, "pt") as file:
        metadata = {k: v.replace('"recipe"', '"protocol"') for k, v in file.metadata().items()}
    save_file(load_file(weights), weights, metadata)
    head, clips = load_run(old), read_clips(small_set)
    assert head.provenance["training"]["protocol"] == "corrected"
    check_encoders(head, encoders)
    assert len(read_predictions(old)) == len(clips)
    examples = encode(clips, encoders)
    before = (old / "model.safetensors").stat().st_mtime_ns
    train_run(old, MEMBERS["one-hot"], CONFIG, clips, examples, encoders, device="cpu")
    assert (old / "model.safetensors").stat().st_mtime_ns == before, "it is finished"


def test_a_folder_that_is_no_run_is_one_message(tmp_path: Path) -> None:
    from heads import DualBranchConfig, DualBranchHead

    with pytest.raises(CheckpointError, match="no such file"):
        load_run(tmp_path / "none")
    DualBranchHead(DualBranchConfig(audio_dim=8, text_dim=8, common_dim=8)).save_pretrained(
        tmp_path
    )
    with pytest.raises(CheckpointError, match="its provenance lacks weights_sha256"):
        load_run(tmp_path)


PUBLISHED = TrainingConfig(epochs=2, batch_size=4, recipe="published")


@pytest.fixture(scope="module")
def released_encoders(roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    states = tmp_path_factory.mktemp("released") / "states"
    return Encoders.load(
        "mini", str(roberta), states, precision="auto", device="cpu", released=True
    )


@pytest.fixture(scope="module")
def published_run(
    set_with_dev: Path, released_encoders: Encoders, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder, clips = tmp_path_factory.mktemp("published") / "decoupled", read_clips(set_with_dev)
    train_run(
        folder,
        MEMBERS["decoupled"],
        PUBLISHED,
        clips,
        encode(clips, released_encoders),
        released_encoders,
        device="cpu",
    )
    return folder


def test_a_published_run_keeps_three_heads_and_says_that_dev_selected(published_run: Path) -> None:
    for part, name in (("", "combined"), ("loss", "loss"), ("system-srcc", "system-srcc")):
        folder = published_run / part
        known = load_run(folder).provenance
        assert (known["selected_by"], known["selected_on"]) == (name, "dev")
        found = read_predictions(folder)
        assert [found.splits.count(split) for split in ("train", "dev", "test")] == [3, 3, 3]
        assert set(json.loads((folder / "metrics.json").read_text())) == {"dev", "test"}
        assert "selected_on | dev" in (folder / "README.md").read_text()
    assert len((published_run / "log.csv").read_text().splitlines()) == 3


def test_a_published_run_predicts_again_what_it_predicted(
    published_run: Path, set_with_dev: Path, released_encoders: Encoders
) -> None:
    clips = read_clips(set_with_dev, ["test"])
    head = load_run(published_run / "loss")
    check_encoders(head, released_encoders)
    again = predict_clips(head, clips, encode(clips, released_encoders))
    before = read_predictions(published_run / "loss").of_split("test").aligned_with(again.clips)
    np.testing.assert_allclose(again.scores, before.scores, atol=1e-6)


def test_encoders_of_the_other_recipe_are_refused(
    published_run: Path, set_with_dev: Path, encoders: Encoders, released_encoders: Encoders
) -> None:
    with pytest.raises(InputError, match="load the encoders with released=True"):
        check_encoders(load_run(published_run), encoders)
    with pytest.raises(InputError, match="recipe published: load the encoders with released=True"):
        train_run(published_run, MEMBERS["coral"], PUBLISHED, [], [], encoders)
    with pytest.raises(InputError, match="take released=True twice"):
        Encoders(released_encoders.audio, encoders.text, encoders.store)


def test_all_of_the_train_list_trains_by_the_published_recipe(
    set_with_dev: Path,
    released_encoders: Encoders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, int] = {}

    def fake(member, config, train, dev, systems, **options):
        seen.update(train=len(train), dev=len(dev))
        return fit_released(member, config, train, dev, systems, **options)

    monkeypatch.setattr("musiceval_task.training.recipes.fit_released", fake)
    clips = read_clips(set_with_dev)
    clips[0] = replace(clips[0], split="dev", overall=None, textual=None)
    examples = encode(clips, released_encoders)
    train_run(
        tmp_path,
        MEMBERS["coral"],
        PUBLISHED,
        clips,
        examples,
        released_encoders,
        device="cpu",
    )
    assert seen == {"train": 2, "dev": 3}, "a dev clip without scores selects nothing"
