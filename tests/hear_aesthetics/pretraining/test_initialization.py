"""Training that starts from an encoder: with its own objective, at its own accuracy."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from hear_aesthetics import load_model
from hear_aesthetics.backbones import MuQ, MusicFM
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.pretraining.config import PretrainingConfig, TargetConfig
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.data.pool import Pool
from hear_aesthetics.pretraining.initialization import InitialEncoder
from hear_aesthetics.pretraining.objective import MaskedPrediction, draw_mask, mask_waveform
from hear_aesthetics.pretraining.training import pretrain

SOURCES = ("muq", "musicfm")
FILES = {"muq": "model.safetensors", "musicfm": "pretrained_msd.pt"}
BRIEF = {"steps": 2, "batch": 2, "seconds": 1.2, "held_out_batches": 2, "precision": "float32"}


def config_of(initial: InitialEncoder, **values: object) -> PretrainingConfig:
    return PretrainingConfig(**{**initial.options(), **BRIEF, **values})


@pytest.fixture(scope="module")
def pair(tiny_model_directory: Path, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair in the published layouts, whose heads know something of the held-out clips."""
    directory = tmp_path_factory.mktemp("pair") / "pair"
    shutil.copytree(tiny_model_directory, directory)
    for source, name in FILES.items():
        initial = InitialEncoder.read(str(directory), source)
        config = config_of(initial)
        model = MaskedPrediction(config, initial.backbone.statistics).eval()
        initial.load_into(model)
        rows = [held_out(config, pool, index) for index in range(config.held_out_batches)]
        waveform, masked, _ = (torch.cat(parts) for parts in zip(*rows, strict=True))
        codes = model.codes(model.backbone.log_mel(waveform))
        depth = config.encoder.depth
        state = model.backbone.hidden_states(masked, (depth,))[depth].flatten(0, 1)
        wanted = F.one_hot(codes, config.targets.codes).float().flatten(0, 1).flatten(1)
        known = torch.cat([state, torch.ones(len(state), 1)], dim=1)
        learned = torch.linalg.solve(known.T @ known + torch.eye(known.shape[1]), known.T @ wanted)
        tensors = {f"model.{key}": value for key, value in read(directory, source).items()}
        tensors |= {"model.linear.weight": learned[:-1].T.contiguous()}
        tensors |= {"model.linear.bias": learned[-1].contiguous()}
        if source == "muq":
            save_file(tensors, directory / source / name)
        else:
            torch.save({"state_dict": tensors}, directory / source / name)
    return directory


def read(directory: Path, source: str) -> dict[str, torch.Tensor]:
    """The tensors of a file in a published layout, or of one that was exported."""
    path = directory / source / FILES[source]
    if path.suffix == ".pt" and path.is_file():
        tensors = torch.load(path, weights_only=True)["state_dict"]
    else:
        tensors = load_file(path.with_name("model.safetensors"))
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def held_out(config: PretrainingConfig, pool: Pool, index: int) -> tuple[torch.Tensor, ...]:
    """A held-out batch: audio, audio with noise in its masked spans, and the mask."""
    rng = generator(config.seed, "held out", index)
    drawn = config.batch, config.samples
    waveform = draw_batch(pool, rng, *drawn, held_out=True, augment=False)
    mask = draw_mask(rng, config.batch, config.spans, config.mask_frames, 0.6)
    return waveform, mask_waveform(waveform, mask, rng, 0.1), mask


def restated_codes(tensors: dict[str, torch.Tensor], mel: torch.Tensor) -> torch.Tensor:
    """The published quantizers, restated: ``(B, T, 512)`` normalized mel to ``(B, T, codebooks)``.

    Both take the entry of least distance between unit vectors. MuQ's maps that entry, as it is in
    the codebook, back and goes on with what is left.
    """
    if "quantizer_melspec_2048_0.codebook" in tensors:
        projected = mel @ tensors["quantizer_melspec_2048_0.random_projection"]
        entries = F.normalize(tensors["quantizer_melspec_2048_0.codebook"], dim=-1)
        return torch.cdist(F.normalize(projected, dim=-1), entries[None]).argmin(-1, keepdim=True)
    codes, number = [], 0
    while (name := f"rvq.quantizers.{number}") + ".codebook.weight" in tensors:
        weights = {}
        for part in ("in_proj", "out_proj"):
            direction = tensors[f"{name}.{part}.weight_v"][..., 0]
            norm = direction.square().sum(1, keepdim=True).sqrt()
            weights[part] = tensors[f"{name}.{part}.weight_g"][..., 0] * direction / norm
        low = mel @ weights["in_proj"].T + tensors[f"{name}.in_proj.bias"]
        entries = tensors[f"{name}.codebook.weight"]
        found = torch.cdist(F.normalize(low, dim=-1), F.normalize(entries, dim=-1)[None]).argmin(-1)
        mel = mel - (entries[found] @ weights["out_proj"].T + tensors[f"{name}.out_proj.bias"])
        codes.append(found)
        number += 1
    return torch.stack(codes, dim=-1)


def restated_accuracy(directory: Path, source: str, pool: Pool, config: PretrainingConfig) -> float:
    """Accuracy behind the masks of held-out audio, from the files of a pair alone.

    The last state comes from the encoder as inference has it, with folded batch norms.
    """
    encoder = {"muq": MuQ, "musicfm": MusicFM}[source].from_pretrained(directory / source)
    tensors = read(directory, source)
    correct, count = torch.zeros(()), 0
    for index in range(config.held_out_batches):
        waveform, masked, mask = held_out(config, pool, index)
        mel = (encoder.log_mel(waveform) - encoder.statistics.mean) / encoder.statistics.std
        batch, bands, frames = mel.shape
        stacked = mel.reshape(batch, bands, frames // 4, 4).permute(0, 2, 3, 1).flatten(2)
        codes = restated_codes(tensors, stacked)
        depth = encoder.config.depth
        state = encoder.hidden_states(masked, (depth,))[depth]
        logits = state @ tensors["linear.weight"].T + tensors["linear.bias"]
        guesses = logits.reshape(*codes.shape, -1).argmax(-1)
        correct += (guesses == codes)[mask].float().sum()
        count += codes[mask].numel()
    return float(correct) / count


@pytest.mark.parametrize("source", SOURCES)
def test_step_0_has_the_accuracy_of_the_pair(source, pair, pool, tmp_path):
    initial = InitialEncoder.read(str(pair), source)
    config = config_of(initial)
    metrics = pretrain(config, pool, tmp_path, initial=initial)
    expected = restated_accuracy(pair, source, pool, config)
    assert metrics["accuracy_at_start"] == pytest.approx(expected, abs=1e-6)
    assert expected > 0.1, "the head has learned something"


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_what_was_continued_is_continued_where_it_ended(source, pair, pool, tmp_path):
    initial = InitialEncoder.read(str(pair), source)
    ended = pretrain(config_of(initial), pool, tmp_path / "a", initial=initial)
    again = InitialEncoder.read(str(tmp_path / "a"), source)
    begun = pretrain(config_of(again), pool, tmp_path / "b", initial=again)
    assert begun["accuracy_at_start"] == ended["accuracy"]
    assert again.published


@pytest.mark.parametrize("source", SOURCES)
def test_the_files_keep_the_published_tensors(source, pair, pool, tmp_path):
    """What is no part of encoder or head is as it was, so that others read the file as before."""
    initial = InitialEncoder.read(str(pair), source)
    pretrain(config_of(initial, learning_rate=1e-2), pool, tmp_path, initial=initial)
    before, after = read(pair, source), read(tmp_path, source)
    assert {n: t.shape for n, t in before.items()} == {n: t.shape for n, t in after.items()}
    others = set(initial.training_only) - {"linear.weight", "linear.bias"}
    assert len(others) > 3
    assert all(torch.equal(before[name], after[name]) for name in others)
    assert not torch.equal(before["linear.weight"], after["linear.weight"])
    if source == "muq":
        layouts = [json.loads((d / "muq/config.json").read_text()) for d in (pair, tmp_path)]
        assert layouts[0] == layouts[1]
    model = load_model(str(tmp_path), sources=(source,), device="cpu")
    assert model.features(torch.randn(1, 24_000)).isfinite().all()
    assert model.config.layer == 10


def test_batch_norms_keep_their_statistics(tiny_model_directory, pool, tmp_path):
    initial = InitialEncoder.read(str(tiny_model_directory), "musicfm")
    pretrain(config_of(initial, learning_rate=1e-2), pool, tmp_path, initial=initial)
    after = read(tmp_path, "musicfm")
    before = initial.backbone.published_state()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert all(name in same for name in before if "running" in name)
    assert not any(name in same for name in before if name.endswith("ffn1.output_dense.weight"))


@pytest.mark.parametrize("source", SOURCES)
def test_an_encoder_of_our_own_goes_on_with_its_objective(source, tiny, pool, tmp_path):
    made = replace(tiny, source=source)
    pretrain(made, pool, tmp_path / "own")
    initial = InitialEncoder.read(str(tmp_path / "own"), source)
    assert not initial.published
    assert initial.targets == TargetConfig(2, 8, 4)
    config = config_of(initial, seconds=0.8, head_steps=0)
    model = MaskedPrediction(config, initial.backbone.statistics)
    initial.load_into(model)
    trained = torch.load(tmp_path / "own" / source / "pretraining" / "state" / "checkpoint.pt")
    for name, tensor in model.objective_state().items():
        assert torch.equal(tensor, trained["model"][name]), name
    metrics = pretrain(config, pool, tmp_path / "further", initial=initial)
    assert 0 < metrics["accuracy_at_start"] <= 1
    assert (tmp_path / "further" / source / "masked_prediction.safetensors").is_file()


def test_without_a_head_a_new_one_is_trained_before_the_encoder(pool, tmp_path):
    initial = InitialEncoder.read("mini", "muq")
    assert initial.objective == {}
    config = config_of(
        initial,
        steps=1,
        held_out_batches=1,
        targets=TargetConfig(2, 8, 4, rvq_steps=2, rvq_frames=32),
    )
    assert config.head_steps == 500
    pretrain(config, pool, tmp_path, initial=initial)
    after = read(tmp_path, "muq")
    assert all(torch.equal(t, after[n]) for n, t in initial.backbone.published_state().items())
    about = json.loads((tmp_path / "hear_aesthetics.json").read_text())
    assert about["status"] == "continued from mini, trained on synthetic music"
    assert (about["layer"], about["licence"]) == ([2, 5], "Apache-2.0")


def test_a_run_goes_on_from_the_same_encoder_alone(tiny_model_directory, pool, tmp_path):
    initial = InitialEncoder.read(str(tiny_model_directory), "musicfm")
    first = pretrain(config_of(initial), pool, tmp_path / "out", initial=initial)
    assert pretrain(config_of(initial), pool, tmp_path / "out", initial=initial) == first
    shutil.copytree(tiny_model_directory / "musicfm", tmp_path / "other" / "musicfm")
    path = tmp_path / "other" / "musicfm" / "pretrained_msd.pt"
    state = torch.load(path, weights_only=True)
    state["state_dict"]["model.linear.bias"] += 1.0
    torch.save(state, path)
    other = InitialEncoder.read(str(tmp_path / "other"), "musicfm")
    with pytest.raises(InputError, match=r"init\.sha256 was .*--overwrite"):
        pretrain(config_of(other), pool, tmp_path / "out", initial=other)


def test_the_encoder_to_start_from_is_not_written_over(tiny_model_directory, pool):
    initial = InitialEncoder.read(str(tiny_model_directory), "musicfm")
    with pytest.raises(InputError, match="holds the encoder to start from; take another --out"):
        pretrain(config_of(initial), pool, tiny_model_directory, initial=initial)


def test_other_sizes_are_refused(tiny_model_directory, tiny, pool, tmp_path):
    initial = InitialEncoder.read(str(tiny_model_directory), "musicfm")
    other = config_of(initial, encoder=tiny.encoder)
    with pytest.raises(InputError, match=r"its musicfm has dim 32, depth 12.* leave --size out"):
        pretrain(other, pool, tmp_path, initial=initial)
    other = config_of(initial, targets=TargetConfig(3))
    with pytest.raises(InputError, match=r"codebooks 1, codes 4096.* leave --targets out"):
        pretrain(other, pool, tmp_path, initial=initial)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linear.weight": torch.zeros(7, 32)}, "linear has 7 outputs, but the quantizer 2 x 1024"),
        ({"rvq.quantizers.1.in_proj.weight_v": None}, "no tensor 'rvq.quantizers.1.in_proj"),
        ({"conformer.layer_norm.bias": None}, r"does not fit: norm\.bias missing"),
    ],
)
def test_files_that_do_not_go_together_say_what_is_wrong(
    tiny_model_directory, tmp_path, change, message
):
    folder = tmp_path / "muq"
    shutil.copytree(tiny_model_directory / "muq", folder)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in change.items():
        tensors.pop(f"model.{name}")
        if tensor is not None:
            tensors[f"model.{name}"] = tensor
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        InitialEncoder.read(str(tmp_path), "muq")


def test_weight_norm_is_read_in_both_spellings(tiny_model_directory, tmp_path):
    shutil.copytree(tiny_model_directory / "muq", tmp_path / "muq")
    path = tmp_path / "muq" / "model.safetensors"
    tensors = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for name, tensor in load_file(path).items()
    }
    save_file(tensors, path)
    first, second = (
        InitialEncoder.read(str(folder), "muq").objective
        for folder in (tiny_model_directory, tmp_path)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
