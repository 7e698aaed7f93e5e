"""How much shorter is an epoch of a MusicEval member with cached states?

The published training runs both frozen encoders on every clip and prompt in every step; ours reads
their states from disk. Encoders: MuQ restated as published (it passes the golden fixtures; random
weights) and RoBERTa from ``transformers`` (random weights). Head, optimizer, loss and batches are
the same. Published sizes: one batch of a few clips of 30 s.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.common.harness import BenchmarkReport, Timing, alternate, difference, main
from benchmarks.common.published import PublishedEncoder, encoder_tensors, golden_difference
from heads import DualBranchHead
from hear_aesthetics.backbones import MelStatistics
from hear_aesthetics.backbones.conformer import ConformerConfig
from musiceval_task.features.states import AUDIO_DTYPE, StateStore
from musiceval_task.training.inference import Example, run_head
from musiceval_task.training.members import MEMBERS, head_config
from musiceval_task.training.objective import loss

__all__ = ["SIZES", "Size", "measure"]

SAMPLE_RATE = 24_000
MEMBER = MEMBERS["gaussian-1984"]
TOKENS = 24  # of a prompt


@dataclass(frozen=True)
class Size:
    """Size of the data and the encoders.

    Attributes:
        clips: Clips of an epoch.
        seconds: Length of each clip.
        batch_size: Clips per batch.
        audio: Configuration of MuQ; None is the published one.
        text: Configuration of RoBERTa; empty is the published base.
    """

    clips: int
    seconds: float
    batch_size: int
    audio: ConformerConfig | None
    text: dict[str, int]


MINI = ConformerConfig(dim=128, depth=4, heads=4, ffn_dim=256, conv_channels=32)
TINY_TEXT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES = {
    "mini": Size(32, 10.0, 16, MINI, {**TINY_TEXT, "intermediate_size": 128}),
    "published": Size(2, 30.0, 2, None, {}),
}
QUICK = Size(4, 2.0, 2, MINI, SIZES["mini"].text)


class Bench:
    """Clips and prompts, both encoders, and a head with its optimizer for each way of training."""

    def __init__(self, size: Size, folder: Path) -> None:
        from transformers import RobertaConfig, RobertaModel

        torch.manual_seed(0)
        self.size = size
        self.muq = PublishedEncoder(
            encoder_tensors(0, size.audio, projection=8192), MelStatistics()
        )
        config = RobertaConfig(**size.text)
        self.roberta: Any = RobertaModel(config, add_pooling_layer=False).eval()
        self.waveforms = 0.1 * torch.randn(size.clips, round(size.seconds * SAMPLE_RATE))
        self.tokens = torch.randint(5, config.vocab_size, (size.clips, TOKENS))
        self.scores = (1 + 4 * torch.rand(size.clips, 2)).tolist()
        self.store = StateStore(folder)
        dims = ((size.audio or ConformerConfig()).dim, config.hidden_size)
        self.heads = [DualBranchHead(head_config(MEMBER, *dims)) for _ in range(2)]
        self.heads[1].load_state_dict(self.heads[0].state_dict())
        self.optimizers = [torch.optim.AdamW(head.parameters(), lr=5e-5) for head in self.heads]

    @torch.no_grad()
    def encode(self, places: Sequence[int]) -> list[Example]:
        """Run both encoders on every clip and prompt of a batch."""
        rows = list(places)
        audio = self.muq(self.waveforms[rows])[-1]
        text = self.roberta(input_ids=self.tokens[rows]).last_hidden_state
        return [self._example(*parts) for parts in zip(rows, audio, text, strict=True)]

    def fill_store(self) -> None:
        """Write the states of every clip and prompt to disk."""
        for place in range(self.size.clips):
            (example,) = self.encode([place])
            self.store.write(example.audio.to(AUDIO_DTYPE), "audio", str(place))
            self.store.write(example.text, "text", str(place))

    def read(self, places: Sequence[int]) -> list[Example]:
        """Read the states of a batch from disk."""
        return [
            self._example(place, *(self._stored(kind, place) for kind in ("audio", "text")))
            for place in places
        ]

    def epoch(self, which: int) -> None:
        """Train an epoch with cached states (0), or with both encoders in every step (1)."""
        head, optimizer = self.heads[which].train(), self.optimizers[which]
        get = (self.read, self.encode)[which]
        for places in torch.arange(self.size.clips).split(self.size.batch_size):
            examples = get(places.tolist())
            outputs = run_head(head, examples)
            truth = torch.tensor([example.scores for example in examples])
            total = sum(
                loss(output, column, MEMBER.target)
                for output, column in zip(outputs, truth.T, strict=True)
            )
            optimizer.zero_grad()
            total.backward()  # type: ignore[union-attr]
            optimizer.step()

    @torch.no_grad()
    def gap(self) -> float:
        """Return the difference between predictions from cached and from fresh states."""
        head, places = self.heads[0].eval(), [0]
        ours, fresh = (torch.cat(run_head(head, get(places))) for get in (self.read, self.encode))
        return difference(ours, fresh)

    def _stored(self, kind: str, place: int) -> Tensor:
        states = self.store.read(kind, str(place))
        if states is None:
            raise RuntimeError(f"{kind} states of clip {place} were not kept")
        return states

    def _example(self, place: int, audio: Tensor, text: Tensor) -> Example:
        overall, textual = self.scores[place]
        return Example(audio, text, (overall, textual))


def measure(quick: bool) -> BenchmarkReport:
    """Compare an epoch with cached states with one that encodes in every step."""
    sizes = {"mini, quick": QUICK} if quick else SIZES
    golden = golden_difference()  # fails where the restated encoder is another one
    rows: list[dict[str, object]] = []
    ratios, gaps = [], []
    for name, size in sizes.items():
        timing, gap, once = _measure(size, runs=2)
        ratios.append(timing.ratio)
        gaps.append(gap)
        rows.append(
            {
                "size": name,
                "clips": f"{size.clips} x {size.seconds:g} s",
                "cached, s": timing.ours,
                "every step, s": timing.reference,
                "ratio": timing.ratio,
                "encoding once, s": once,
                "difference": gap,
            }
        )
    return BenchmarkReport(
        title="One epoch of a MusicEval member: cached states against encoding in every step",
        rows=rows,
        ratio=ratios[-1],
        max_difference=max(gaps),
        targets={} if quick else {"20 x at published size": ratios[-1] >= 20},
        notes=[
            "difference: of the predicted distributions, from states kept in float16",
            f"restated encoder against the golden fixtures: {golden:.1e}",
        ],
    )


def _measure(size: Size, runs: int) -> tuple[Timing, float, float]:
    """Return timing, difference, and the seconds to fill the store once."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(size, Path(folder))
        started = time.perf_counter()
        bench.fill_store()
        once = time.perf_counter() - started
        bench.epoch(0)  # warms up the head, as filling the store did the encoders
        timing = alternate(lambda: bench.epoch(0), lambda: bench.epoch(1), runs=runs, warmup=0)
        return timing, bench.gap(), once


if __name__ == "__main__":
    raise SystemExit(main("musiceval.cached_states", measure))
