"""How fast does the aesthetic head score a song, and how much memory does a long one need?

The published head, restated from its definition: attention weights in full, convolutions over
transposed sequences, one small network after another in the pooling. Same weights, float32.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common.harness import BenchmarkReport, alternate, difference, main, peak_memory
from heads import AestheticHead, AestheticHeadConfig

__all__ = ["PublishedHead", "measure", "song_memory"]

FRAMES_PER_SECOND = 25
SONG_SECONDS = 144
LONG_SECONDS = 20 * 60
QUICK = AestheticHeadConfig(feature_dim=256, projection_dim=128, dim=64, ffn_dim=256)


class PublishedPool(nn.Module):
    """Scoring networks of one query: a chain of convolutions per head."""

    def __init__(self, heads: int, widths: list[int]) -> None:
        super().__init__()
        self.heads_att_trans = nn.ModuleList(
            nn.ModuleDict(
                {f"att_{i}": nn.Conv1d(widths[i], widths[i + 1], 1) for i in range(len(widths) - 1)}
            )
            for _ in range(heads)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return means and deviations of ``(batch, dim, frames)``."""
        pooled = []
        chunks = x.chunk(len(self.heads_att_trans), dim=1)
        for chunk, layers in zip(chunks, self.heads_att_trans, strict=True):
            scores = chunk
            for i, layer in enumerate(layers.values()):
                scores = layer(torch.tanh(scores) if i else scores)
            weights = scores.softmax(dim=2)
            mean = (weights * chunk).sum(dim=2)
            variance = (weights * chunk.square()).sum(dim=2) - mean.square()
            pooled += [mean, variance.clamp(min=1e-7).sqrt()]
        return torch.cat(pooled, dim=1)


class PublishedHead(nn.Module):
    """Published head, with its published tensor names."""

    def __init__(self, config: AestheticHeadConfig) -> None:
        super().__init__()
        c = config
        self.mixed_win_downsample = nn.Linear(c.feature_dim, c.projection_dim)
        self.input_norm = nn.LayerNorm(c.projection_dim)
        self.down_sample_conv = nn.ModuleDict(
            {
                "depthwise_conv": nn.Conv1d(
                    c.projection_dim, c.projection_dim, 3, 3, groups=c.projection_dim, bias=False
                ),
                "pointwise_conv": nn.Conv1d(c.projection_dim, c.dim, 1, bias=False),
                "norm1": nn.LayerNorm(c.dim),
            }
        )
        if c.projection_dim != c.dim:
            self.down_sample_conv["residual_conv"] = nn.Conv1d(
                c.projection_dim, c.dim, 1, bias=False
            )
        head_dim = c.dim // c.pooling_heads
        widths = [head_dim, *[c.pooling_bottleneck] * (c.pooling_layers - 1), head_dim]
        self.model = nn.ModuleDict(
            {
                "attn": nn.ModuleList(
                    nn.MultiheadAttention(c.dim, c.attention_heads, batch_first=True)
                    for _ in range(c.layers)
                ),
                "ln_ffd": nn.LayerNorm(c.dim),
                "ffd": nn.Sequential(
                    nn.Linear(c.dim, c.ffn_dim),
                    nn.ReLU(),
                    nn.Identity(),
                    nn.Linear(c.ffn_dim, c.dim),
                ),
                "mqmhastp": nn.ModuleDict(
                    {
                        "n_query": nn.ModuleList(
                            PublishedPool(c.pooling_heads, widths) for _ in range(c.pooling_queries)
                        )
                    }
                ),
                "fc": nn.Linear(2 * c.dim * c.pooling_queries, len(c.dimensions)),
            }
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return scores: ``(batch, frames, feature_dim)`` -> ``(batch, dimensions)``."""
        hidden = self._downsample(self.input_norm(self.mixed_win_downsample(features)))
        hidden = self.model["ffd"](hidden)
        for attention in self.model["attn"]:
            normed = self.model["ln_ffd"](hidden)
            hidden = hidden + attention(normed, normed, normed)[0]  # makes the weights, too
        channels_first = hidden.transpose(1, 2)
        pooled = [query(channels_first) for query in self.model["mqmhastp"]["n_query"]]
        return 2 * torch.tanh(self.model["fc"](torch.cat(pooled, dim=1))) + 3

    def _downsample(self, x: Tensor) -> Tensor:
        convolutions, x = self.down_sample_conv, x.transpose(1, 2)
        residual = F.avg_pool1d(x, 3)
        if "residual_conv" in convolutions:
            residual = convolutions["residual_conv"](residual)
        mixed = convolutions["pointwise_conv"](convolutions["depthwise_conv"](x))
        return F.gelu(convolutions["norm1"]((mixed + residual).transpose(1, 2)))


def both_heads(config: AestheticHeadConfig) -> tuple[AestheticHead, PublishedHead]:
    """Return ours and the published head with the same random weights."""
    torch.manual_seed(0)
    ours, published = AestheticHead(config).eval(), PublishedHead(config).eval()
    published.load_state_dict(ours.published_state_dict())
    return ours, published


def song_memory(which: int, frames: int, quick: bool) -> Callable[[], object]:
    """Return the scoring of one song by ours (0) or the published head (1), for its memory."""
    config = QUICK if quick else AestheticHeadConfig()
    head = both_heads(config)[which]
    features = torch.randn(1, frames, config.feature_dim)

    def work() -> Tensor:
        with torch.inference_mode():
            return head(features)

    return work


def measure(quick: bool) -> BenchmarkReport:
    """Compare time and memory of the aesthetic head on one song with the published head."""
    config = QUICK if quick else AestheticHeadConfig()
    ours, published = both_heads(config)
    features = torch.randn(1, SONG_SECONDS * FRAMES_PER_SECOND, config.feature_dim)
    long_frames = (120 if quick else LONG_SECONDS) * FRAMES_PER_SECOND
    with torch.inference_mode():
        timing = alternate(lambda: ours(features), lambda: published(features), runs=5)
        gap = difference(ours(features), published(features))
    megabytes = [
        peak_memory("benchmarks.heads:song_memory", which=which, frames=long_frames, quick=quick)
        / 1e6
        for which in (0, 1)
    ]
    memory = f"MB, {long_frames // FRAMES_PER_SECOND} s song"
    rows = len(features[0])
    return BenchmarkReport(
        title=f"Aesthetic head, one song of {SONG_SECONDS} s, float32",
        rows=[
            {"": "ours", "seconds": timing.ours, memory: megabytes[0]},
            {"": "published", "seconds": timing.reference, memory: megabytes[1]},
        ],
        ratio=timing.ratio,
        max_difference=gap,
        targets={} if quick else {"faster": timing.ratio > 1, "difference below 1e-4": gap < 1e-4},
        notes=[f"published: {rows / timing.reference:,.0f} frames/s"],
    )


if __name__ == "__main__":
    raise SystemExit(main("heads", measure))
