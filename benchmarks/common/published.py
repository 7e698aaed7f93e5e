"""Plain restatement of the published computation of the fused features: the reference of ours.

Four passes (two encoders, segments one by one and the whole track), all layers and the final
projection, attention with its T x T matrix, float32, batch norms and layouts as published. Nothing
is slowed down on purpose: every step is the PyTorch call that the published pipelines make. The
weights are dictionaries of the published tensors, without the leading ``model.``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.common.harness import difference
from hear_aesthetics.backbones import Backbone, MelStatistics
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.backbones.log_mel import mel_filterbank
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = [
    "PublishedEncoder",
    "encoder_tensors",
    "golden_difference",
    "golden_encoders",
    "published_features",
    "published_waveform",
    "seeded_encoder",
]

N_FFT, HOP, SEGMENT, SHORTEST = 2048, 240, 720_000, 1025
GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
State = Mapping[str, Tensor]


class PublishedEncoder:
    """Published encoder, from waveform to all its hidden states.

    Args:
        state: Published tensors.
        statistics: Normalisation of the log-mel.
    """

    def __init__(self, state: State, statistics: MelStatistics) -> None:
        self.state, self.statistics = state, statistics
        device = state["conv.linear.weight"].device
        self.window = torch.hann_window(N_FFT, device=device)
        self.filterbank = mel_filterbank().to(device)
        self.inv_freq = state["conformer.embed_positions.inv_freq"]
        self.heads = state["conv.linear.bias"].shape[0] // (2 * len(self.inv_freq))
        self.depth = 1 + max(
            int(name.split(".")[2]) for name in state if name.startswith("conformer.layers.")
        )

    @torch.no_grad()
    def __call__(self, waveform: Tensor) -> list[Tensor]:
        """Return every hidden state of ``(B, samples)``; the projection is computed and dropped."""
        x = self.subsample(self.log_mel(waveform))
        states = [x]
        for index in range(self.depth):
            x = self.layer(f"conformer.layers.{index}.", x)
            states.append(x)
        states[-1] = self._norm("conformer.layer_norm", x)
        self._linear("linear", states[-1])
        return states

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Return the normalised log-mel ``(B, 128, mel_frames)``."""
        spectrum = torch.stft(
            waveform, N_FFT, HOP, window=self.window, pad_mode="reflect", return_complex=True
        )
        mel = (spectrum.abs().square().transpose(1, 2) @ self.filterbank).transpose(1, 2)
        decibel = 10 * torch.log10(mel.clamp(min=1e-10))[..., :-1]
        return (decibel - self.statistics.mean) / self.statistics.std

    def subsample(self, log_mel: Tensor) -> Tensor:
        """Apply the two residual convolution blocks and the linear layer: ``(B, frames, dim)``."""
        x = log_mel.unsqueeze(1)
        for block in range(2):
            name = f"conv.conv.{block}."
            inner = F.relu(self._conv_norm(name, "1", x, stride=2))
            x = F.relu(
                self._conv_norm(name, "2", inner, stride=1)
                + self._conv_norm(name, "3", x, stride=2)
            )
        return self._linear("conv.linear", x.flatten(1, 2).transpose(1, 2))

    def layer(self, name: str, x: Tensor) -> Tensor:
        """Apply one conformer layer."""
        x = x + 0.5 * self._feed_forward(name + "ffn1", x)
        x = x + self._attention(name + "self_attn", x)
        x = x + self._convolution(name + "conv_module.", x)
        x = x + 0.5 * self._feed_forward(name + "ffn2", x)
        return self._norm(name + "final_layer_norm", x)

    def _feed_forward(self, name: str, x: Tensor) -> Tensor:
        inner = F.silu(
            self._linear(name + ".intermediate_dense", self._norm(f"{name}_layer_norm", x))
        )
        return self._linear(name + ".output_dense", inner)

    def _attention(self, name: str, x: Tensor) -> Tensor:
        x = self._norm(f"{name}_layer_norm", x)
        rotated = self._rotate(x.unflatten(-1, (self.heads, -1))).flatten(-2)
        q, k, v = (
            self._linear(f"{name}.linear_{part}", source)
            .unflatten(-1, (self.heads, -1))
            .transpose(1, 2)
            for part, source in (("q", rotated), ("k", rotated), ("v", x))
        )
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        mixed = torch.softmax(scores, dim=-1) @ v
        return self._linear(f"{name}.linear_out", mixed.transpose(1, 2).flatten(-2))

    def _rotate(self, x: Tensor) -> Tensor:
        positions = torch.arange(x.shape[1], device=x.device).float()
        angles = torch.outer(positions, self.inv_freq).repeat(1, 2)[:, None]
        first, second = x.chunk(2, dim=-1)
        return x * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()

    def _convolution(self, name: str, x: Tensor) -> Tensor:
        x = self._norm(name + "layer_norm", x).transpose(1, 2)
        x = F.glu(F.conv1d(x, self.state[name + "pointwise_conv1.weight"]), dim=1)
        kernel = self.state[name + "depthwise_conv.weight"]
        x = F.conv1d(x, kernel, padding=kernel.shape[-1] // 2, groups=len(kernel))
        x = F.silu(self._batch_norm(name + "batch_norm", x))
        return F.conv1d(x, self.state[name + "pointwise_conv2.weight"]).transpose(1, 2)

    def _conv_norm(self, block: str, number: str, x: Tensor, stride: int) -> Tensor:
        weight, bias = (self.state[f"{block}conv{number}.{part}"] for part in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, stride=stride, padding=1)
        return self._batch_norm(f"{block}bn{number}", x)

    def _batch_norm(self, name: str, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            self.state[f"{name}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(
            x, x.shape[-1:], self.state[name + ".weight"], self.state[name + ".bias"]
        )

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.state[name + ".weight"], self.state[name + ".bias"])


def published_waveform(mono: np.ndarray, rate: int) -> Tensor:
    """Return ``(1, samples)`` at 24 kHz, resampled and padded to the length that librosa gives."""
    resampled = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    length = int(np.ceil(mono.size * (float(SAMPLE_RATE) / rate)))
    return torch.from_numpy(np.pad(resampled, (0, length - resampled.size)))[None]


def published_features(
    encoders: Mapping[str, PublishedEncoder], waveform: Tensor, layer: int = 10
) -> Tensor:
    """Return the fused feature of ``(1, samples)``: segment views, then track views."""
    segments = [part for part in waveform.split(SEGMENT, dim=1) if part.shape[1] >= SHORTEST]
    views = [
        torch.cat([encoder(segment)[layer] for segment in segments], dim=1)
        for encoder in encoders.values()
    ]
    views += [encoder(waveform)[layer] for encoder in encoders.values()]
    shortest = min(view.shape[1] for view in views)
    return torch.cat([view[:, :shortest] for view in views], dim=-1)


def encoder_tensors(
    seed: int, config: ConformerConfig | None = None, projection: int = 4096
) -> dict[str, Tensor]:
    """Return published tensors of a seeded encoder.

    As PyTorch initialises it, but with random batch norms and biases of norms, so that a wrong fold
    changes the result.

    Args:
        seed: Random seed.
        config: Sizes; default: the published ones.
        projection: Outputs of the final projection: 4,096 in MusicFM, 8,192 in MuQ.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = Backbone(config or ConformerConfig())
        for module in backbone.encoder.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                module.bias.data.normal_(0, 0.1)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.uniform_(0.7, 1.4)
                for name, statistic in module.named_buffers():
                    if name == "running_mean":
                        statistic.normal_(0, 0.1)
                    elif name == "running_var":
                        statistic.uniform_(0.7, 1.4)
        linear = nn.Linear(backbone.dim, projection)
    final = {f"linear.{name}": tensor.detach() for name, tensor in linear.named_parameters()}
    return {**backbone.published_state(), **final}


def seeded_encoder(tensors: State, dtype: torch.dtype, layer: int = 10) -> Backbone:
    """Return our encoder from the same tensors, ready for inference."""
    return Backbone.from_published(dict(tensors), MelStatistics(), layers=layer, dtype=dtype)


def golden_difference() -> float:
    """Return the largest difference of the restatement to the golden features.

    Raises:
        AssertionError: If a value is beyond the tolerance of the fixtures.
    """
    encoders = golden_encoders()
    tolerance = json.loads((GOLDEN / "fused_features" / "meta.json").read_text())["tolerance"]
    worst = 0.0
    for path in sorted((GOLDEN / "fused_features").glob("*.safetensors")):
        samples, _ = soundfile.read(GOLDEN / "audio" / f"{path.stem}.wav", dtype="int16")
        features = published_features(encoders, torch.from_numpy(samples).float()[None] / 32768)
        expected = load_file(path)["features"]
        torch.testing.assert_close(features, expected, **tolerance["features"])
        worst = max(worst, difference(features, expected))
    return worst


def golden_encoders() -> dict[str, PublishedEncoder]:
    """Return the encoders of the golden fixtures."""
    folder = GOLDEN / "musicfm_tiny" / "musicfm"
    musicfm = torch.load(folder / "pretrained_msd.pt", weights_only=True)["state_dict"]
    muq = load_file(GOLDEN / "muq_tiny" / "model.safetensors")
    statistics = {
        "musicfm": json.loads((folder / "msd_stats.json").read_text()),
        "muq": json.loads((GOLDEN / "muq_tiny" / "config.json").read_text())["stat"],
    }
    encoders = {}
    for source, state in {"musicfm": musicfm, "muq": muq}.items():
        numbers = statistics[source]
        encoders[source] = PublishedEncoder(
            {name.removeprefix("model."): tensor for name, tensor in state.items()},
            MelStatistics(numbers["melspec_2048_mean"], numbers["melspec_2048_std"]),
        )
    return encoders
