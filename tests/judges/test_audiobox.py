"""Audiobox-Aesthetics against its original code: seeded weights of the published size, 12 clips."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from hear_aesthetics.checkpoints import by_name
from songeval_task import AestheticScorer
from songeval_task.scoring.scorer import AudioSpan

pytestmark = [pytest.mark.judges, pytest.mark.filterwarnings("default")]

RATE, WINDOW = 16_000, 160_000
CLIPS = [  # seconds, channels, Hz
    *((3, 1, 16_000), (3, 2, 24_000), (3, 2, 44_100)),
    *((10, 1, 24_000), (10, 2, 48_000), (10, 1, 44_100)),
    *((25, 1, 44_100), (25, 2, 16_000), (25, 1, 48_000)),
    *((61, 1, 48_000), (61, 2, 44_100), (61, 2, 24_000)),
]
CONFIG = {
    "normalize_embed": True,
    "nth_layer": 13,
    "output_dim": 1,
    "precision": "32",
    "proj_act_fn": "gelu",
    "proj_dropout": 0.0,
    "proj_ln": True,
    "proj_num_layer": 5,
    "use_weighted_layer_sum": True,
    "target_transform": {
        "CE": {"mean": 5.06865, "std": 1.93029},
        "CU": {"mean": 5.73633, "std": 1.75669},
        "PC": {"mean": 3.18591, "std": 1.86637},
        "PQ": {"mean": 6.57505, "std": 1.51466},
    },
}


@pytest.fixture(scope="module")
def original(judge: Callable[[str], ModuleType]) -> nn.Module:
    """The original network with seeded weights under which layers, heads and norms all count."""
    make = judge("audiobox_aesthetics.model.aes").AesMultiOutput
    torch.manual_seed(0)
    network: nn.Module = make(**CONFIG).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            strong = "layer_weights" in name or "grep_a" in name or "attention_bias" in name
            if strong or parameter.ndim == 1:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise * (0.5 if strong else 0.1))
    return network


@pytest.fixture(scope="module")
def folder(original: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights as they are published."""
    folder = tmp_path_factory.mktemp("audiobox")
    (folder / "config.json").write_text(json.dumps(CONFIG, sort_keys=True, indent=2))
    save_file(dict(original.state_dict()), folder / "model.safetensors")
    return folder


def write_clip(path: Path, seconds: int, channels: int, rate: int) -> None:
    """Chords and noise that fade in, unlike in both channels."""
    rng = np.random.default_rng(seconds * channels + rate)
    times = np.arange(seconds * rate)[:, None] / rate
    tones = sum(np.sin(2 * np.pi * rng.uniform(80, 9_000, channels) * times) for _ in range(4))
    samples = (0.05 * tones + 0.05 * rng.standard_normal(tones.shape)) * np.sqrt(times / seconds)
    soundfile.write(path, samples, rate, subtype="FLOAT")


def resampled(waveform: Tensor, rate: int) -> Tensor:
    """torchaudio's ``functional.resample`` at its defaults, restated from its documentation."""
    if rate == RATE:
        return waveform
    divisor = math.gcd(rate, RATE)
    orig, new = rate // divisor, RATE // divisor
    base = min(orig, new) * 0.99
    width = math.ceil(6 * orig / base)
    inputs = torch.arange(-width, width + orig, dtype=torch.float32) / orig
    t = (inputs - torch.arange(new, dtype=torch.float32)[:, None] / new) * base
    t = t.clamp(-6, 6)
    kernel = torch.sinc(t) * torch.cos(t * math.pi / 12) ** 2 * base / orig
    padded = F.pad(waveform, (width, width + orig))
    outputs = F.conv1d(padded[:, None], kernel[:, None], stride=orig).transpose(1, 2)
    return outputs.reshape(len(waveform), -1)[:, : math.ceil(new * waveform.shape[1] / orig)]


@torch.inference_mode()
def original_scores(network: nn.Module, path: Path) -> dict[str, float]:
    """What the original's ``infer.py`` does with a file, which itself needs torchaudio."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    heard = resampled(torch.from_numpy(samples.T).mean(0, keepdim=True), rate)
    total, sums = 0.0, dict.fromkeys(CONFIG["target_transform"], 0.0)
    for window in heard.split(WINDOW, dim=1):
        length = window.shape[1]
        mask = torch.arange(WINDOW) < length
        padded = F.pad(window, (0, WINDOW - length))
        answer = network({"wav": padded[None], "mask": mask[None, None]})
        for axis, transform in CONFIG["target_transform"].items():
            score = answer[axis].item() * transform["std"] + transform["mean"]
            sums[axis] += score * length / WINDOW
        total += length / WINDOW
    return {axis: value / total for axis, value in sums.items()}


def test_the_files_have_the_published_bytes(folder: Path) -> None:
    """Protects against a registry entry that no published file meets."""
    weights, config = by_name("audiobox").files
    assert (folder / weights.name).stat().st_size == weights.size
    content = (folder / config.name).read_bytes()
    assert len(content) == config.size
    assert hashlib.sha256(content).hexdigest() == config.sha256


def test_scores_are_those_of_the_original(
    original: nn.Module,
    folder: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Protects every step from the file to the four scores: 12 clips, to 1e-4."""
    scorer = AestheticScorer.from_pretrained(folder, device="cpu")
    paths = [tmp_path / f"{number}.wav" for number in range(len(CLIPS))]
    for path, clip in zip(paths, CLIPS, strict=True):
        write_clip(path, *clip)
    worst, all_scores = 0.0, []
    for result in scorer.score_files(map(AudioSpan, paths)):
        assert result.error is None
        expected = original_scores(original, Path(result.item.path))
        assert list(result.output.values) == list(expected)
        ours, theirs = list(result.output.values.values()), list(expected.values())
        worst = max(worst, float(np.abs(np.subtract(ours, theirs)).max()))
        all_scores.append(theirs)
    record_property("greatest difference", f"{worst:.1e}")
    assert worst < 1e-4
    assert np.std(all_scores, axis=0).min() > 1e-2  # the clips do not score alike


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
def test_the_resampler_is_torchaudios(judge: Callable[[str], ModuleType], rate: int) -> None:
    """Protects our resampler, and its restatement above, where torchaudio can be imported."""
    from hear_aesthetics.audio.sinc import sinc_resample

    resample = judge("torchaudio.functional").resample
    waveform = torch.randn(1, 3 * rate + 7, generator=torch.Generator().manual_seed(0)) / 4
    expected = resample(waveform, rate, RATE)
    ours = torch.from_numpy(sinc_resample(waveform.numpy(), rate, RATE))
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(resampled(waveform, rate), expected, rtol=0, atol=2e-5)
