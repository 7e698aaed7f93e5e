"""How much do scores change when features are stored in 16 bits?

Composed songs of different qualities go through the encoders once, in float32. The aesthetic head
and the SongEval baseline score the features as they were computed, and as they come back from each
type of the feature store. The weights are seeded, not trained, so that scores lie close together:
what counts is the change beside the spread of the scores over the songs.
"""

import torch
from torch import Tensor

from benchmarks.common.full_size import ours as full_size_pair
from benchmarks.common.harness import BenchmarkReport, difference, main
from heads import (
    AestheticHead,
    AestheticHeadConfig,
    SongEvalBaselineConfig,
    SongEvalBaselineHead,
)
from hear_aesthetics import load_model
from hear_aesthetics.features.fusion import FusedFeatures, HiddenState
from hear_aesthetics.synthesis import compose, make_generators, render, sample_qualities
from hear_aesthetics.synthesis.composition.qualities import stream
from songeval_task.features.store import DTYPES

__all__ = ["measure"]

SONGS, SECONDS = 12, 20.0
QUICK_SONGS, QUICK_SECONDS = 4, 6.0
LARGEST_SHARE = 0.01  # of the scores' spread
DEFAULT = "float16"


def composed(count: int, seconds: float) -> list[Tensor]:
    """Return songs of different qualities, each ``(1, samples)``."""
    songs = []
    for seed, system in enumerate(make_generators(count)):
        qualities = sample_qualities(stream(seed, "qualities"), system)
        songs.append(torch.from_numpy(render(compose(seed, seconds, qualities, system)))[None])
    return songs


def heads_for(encoders: FusedFeatures) -> dict[str, torch.nn.Module]:
    """Return seeded heads that fit the features, by the name of their input."""
    torch.manual_seed(0)
    width = encoders.encoders["muq"].dim
    return {
        "fused": AestheticHead(AestheticHeadConfig(feature_dim=encoders.dim)).eval(),
        "muq": SongEvalBaselineHead(SongEvalBaselineConfig(dim=width)).eval(),
    }


@torch.no_grad()
def scores(head: torch.nn.Module, features: list[Tensor], dtype: torch.dtype) -> Tensor:
    """Return scores ``(songs, dimensions)`` of features that were stored."""
    return torch.cat([head(one.to(dtype).float()) for one in features])


def inputs(encoders: FusedFeatures, songs: list[Tensor]) -> dict[str, list[Tensor]]:
    """Return the features of every song as computed, for each head."""
    middle = HiddenState("muq", encoders.encoders["muq"].config.depth // 2)
    passes = [encoders.extract(song, [middle]) for song in songs]
    return {
        "fused": [one.fused for one in passes],
        "muq": [one.states[middle] for one in passes],
    }


def compare(name: str, head: torch.nn.Module, features: list[Tensor]) -> list[dict[str, object]]:
    """Return a row for each dtype of the store."""
    exact = scores(head, features, torch.float32)
    rows = []
    for kind, dtype in DTYPES.items():
        stored = scores(head, features, dtype)
        change = (stored - exact).abs()
        rows.append(
            {
                "features": name,
                "stored": kind,
                "bytes/frame": features[0].shape[-1] * dtype.itemsize,
                "largest change of a score": float(change.max()),
                "beside the spread": float((change / exact.std(0)).max()),
                "difference": difference(stored, exact),
            }
        )
    return rows


def measure(quick: bool) -> BenchmarkReport:
    """Compare scores from stored features with scores from features as computed."""
    count, seconds = (QUICK_SONGS, QUICK_SECONDS) if quick else (SONGS, SECONDS)
    encoders = load_model().fused if quick else full_size_pair("float32")
    read = inputs(encoders, composed(count, seconds))
    heads = heads_for(encoders)
    rows = [row for name, head in heads.items() for row in compare(name, head, read[name])]
    default = [row for row in rows if row["stored"] == DEFAULT]
    share = max(float(str(row["beside the spread"])) for row in default)
    target = f"{DEFAULT} moves no score by {LARGEST_SHARE:.0%} of the spread"
    return BenchmarkReport(
        title=f"Scores of {count} songs from stored features, against unstored ones",
        rows=rows,
        ratio=DTYPES["float32"].itemsize / DTYPES[DEFAULT].itemsize,
        max_difference=max(float(str(row["difference"])) for row in default),
        targets={} if quick else {target: share < LARGEST_SHARE},
        notes=[
            f"ratio: disk of float32 over {DEFAULT}, the default",
            f"spread: standard deviation over {count} composed songs of {seconds:g} s; seeded "
            f"{'small' if quick else 'published-size'} encoders and heads",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("storage", measure))
