"""How much memory does an update of a published encoder need?

    python -m benchmarks.pretraining.memory [--write]

Weights are random, sizes and targets those of MuQ-large-msd-iter, numbers float32; the processor
stands for a GPU, whose libraries take about 1 GB more.
"""

from collections.abc import Callable

import torch

from benchmarks.common.harness import BenchmarkReport, main, usage
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.pretraining.config import PretrainingConfig, TargetConfig
from hear_aesthetics.pretraining.objective import MaskedPrediction

CASES = ((1, 8.0), (2, 8.0), (1, 30.0))  # clips, seconds
BYTES_PER_WEIGHT = 16  # weight, gradient and two moments of Adam


def prepare(clips: int, seconds: float) -> Callable[[], None]:
    """Return an update, with the moments of Adam that updates before it have left."""
    config = PretrainingConfig(
        "muq",
        batch=clips,
        seconds=seconds,
        augment=False,
        batch_norm="frozen",
        published_targets=True,
        precision="float32",
        targets=TargetConfig(8, 1024, 16),
        encoder=ConformerConfig(),
    )

    def update() -> None:
        model = MaskedPrediction(config).eval()
        parameters = [*model.backbone.parameters(), *model.head.parameters()]
        optimizer = torch.optim.AdamW(parameters, fused=True)
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        waveform = torch.randn(clips, config.samples)
        mask = torch.ones(clips, config.samples // 960, dtype=torch.bool)
        model(model.backbone.log_mel(waveform), waveform, mask).loss().backward()
        optimizer.step()

    return update


def measure(quick: bool) -> BenchmarkReport:
    """Measure micro-batches of a few lengths, each in a process of its own."""
    with torch.device("meta"):
        encoder = MaskedPrediction(PretrainingConfig("muq", encoder=ConformerConfig()))
    fixed = BYTES_PER_WEIGHT * sum(p.numel() for p in encoder.backbone.parameters())
    rows, found = [], []
    for clips, seconds in CASES[:1] if quick else CASES:
        used = usage("benchmarks.pretraining.memory:prepare", clips=clips, seconds=seconds)
        found.append(used.bytes)
        rows.append(
            {
                "clips at once": clips,
                "seconds of each": seconds,
                "GB": used.bytes / 1e9,
                "GB beyond weights and Adam": (used.bytes - fixed) / 1e9,
            }
        )
    return BenchmarkReport(
        "Memory of an update of an encoder of the published size, float32",
        rows,
        ratio=found[0] / fixed,
        max_difference=0.0,
        notes=[
            f"weights, gradients and the moments of Adam: {fixed / 1e9:.2f} GB",
            "ratio: memory with one clip over those; difference: not measured",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("pretraining.memory", measure))
