"""How long does C-Mixup take to prepare and draw an epoch, and how much memory does it need?

Setup and one epoch of draws for 6,597 rows (2,199 songs, three copies each). The published way
fits a kernel density on each row's labels, evaluates it at all others, and keeps the N x N matrix
to draw from.
"""

from collections.abc import Callable

import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor

from benchmarks.common.harness import BenchmarkReport, alternate, difference, main, peak_memory
from heads import SONGEVAL_DIMENSIONS, CMixupSampler

__all__ = ["labels_and_songs", "measure", "published_draws", "published_matrix"]

SONGS, COPIES = 2_199, 3
QUICK_SONGS = 200
FASTER_THAN_PUBLISHED = 300
SHARE_OF_MATRIX = 0.02


def labels_and_songs(songs: int, copies: int = COPIES) -> tuple[Tensor, Tensor]:
    """Return random labels spread as SongEval's are, and the song of each row.

    Five dimensions around 3.2 that share most of their variance; means of four whole ratings.
    """
    generator = torch.Generator().manual_seed(0)
    quality = 0.7 * torch.randn(songs, 1, generator=generator)
    dimensions = 0.3 * torch.randn(songs, len(SONGEVAL_DIMENSIONS), generator=generator)
    labels = ((3.2 + quality + dimensions).clamp(1, 5) * 4).round() / 4
    return labels.repeat_interleave(copies, 0), torch.arange(songs).repeat_interleave(copies)


def published_matrix(labels: Tensor, songs: Tensor, bandwidth: float = 1.0) -> Tensor:
    """Return the partner probabilities computed the published way, one density per row."""
    rows = []
    for label, song in zip(labels, songs, strict=True):
        density = KernelDensity(kernel="gaussian", bandwidth=bandwidth).fit(label[None].numpy())
        row = torch.from_numpy(density.score_samples(labels.numpy())).exp().float()
        row[songs == song] = 0.0
        rows.append(row / row.sum())
    return torch.stack(rows)


def published_draws(labels: Tensor, songs: Tensor) -> list[int]:
    """Return a partner for each row, the published way: the matrix, then one draw per row."""
    return [int(torch.multinomial(row, 1)) for row in published_matrix(labels, songs)]


def our_draws(labels: Tensor, songs: Tensor) -> Tensor:
    """Return a partner for each row."""
    sampler = CMixupSampler(labels, songs)
    return sampler.draw(torch.arange(len(sampler)), torch.Generator().manual_seed(0))


def prepare_ours(songs: int) -> Callable[[], object]:
    """Return our work on data that is already there, for the memory measurement."""
    our_draws(*labels_and_songs(10))  # loads the code
    data = labels_and_songs(songs)
    return lambda: our_draws(*data)


def measure(quick: bool) -> BenchmarkReport:
    """Measure partner sampling of C-Mixup: setup and one epoch, ours and published."""
    songs = QUICK_SONGS if quick else SONGS
    data = labels_and_songs(songs)
    rows = len(data[0])
    few = labels_and_songs(QUICK_SONGS)
    for draws in (our_draws, published_draws):
        draws(*few)  # loads the code
    timing = alternate(lambda: our_draws(*data), lambda: published_draws(*data), runs=3, warmup=0)
    sampler = CMixupSampler(*few)
    ours = torch.stack([sampler.probabilities(i) for i in range(len(sampler))])
    matrix_bytes = 4 * rows**2
    our_bytes = peak_memory("benchmarks.cmixup:prepare_ours", songs=songs)
    targets = {
        f"at least {FASTER_THAN_PUBLISHED} times faster": timing.ratio >= FASTER_THAN_PUBLISHED,
        f"at most {SHARE_OF_MATRIX:.0%} of the matrix": our_bytes <= SHARE_OF_MATRIX * matrix_bytes,
    }
    return BenchmarkReport(
        title=f"C-Mixup, ready plus one epoch of draws, {rows:,} rows of {songs:,} songs",
        rows=[
            {"": "ours", "seconds": timing.ours, "MB": our_bytes / 1e6},
            {"": "published", "seconds": timing.reference, "MB": matrix_bytes / 1e6},
        ],
        ratio=timing.ratio,
        max_difference=difference(ours, published_matrix(*few)),
        targets={} if quick else targets,
        notes=[
            f"published: {rows / timing.reference:,.0f} rows/s; its memory is the matrix alone",
            "difference: all rows of the partner distribution of 200 songs",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("cmixup", measure))
