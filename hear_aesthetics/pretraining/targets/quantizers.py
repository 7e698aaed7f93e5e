"""Quantizers whose codes are the targets: MuQ's Mel-RVQ and MusicFM's random projections."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.engine.progress import ProgressCallback
from hear_aesthetics.pretraining.config import TargetConfig
from hear_aesthetics.pretraining.targets.normalized_mel import TARGET_DIM

__all__ = ["MelRVQ", "RandomProjection", "nearest_code", "train_rvq"]

LEARNING_RATE = 2e-3
COMMITMENT = 0.25  # weight of the commitment loss
STALE_UPDATES = 100  # updates without a single frame after which an entry moves to a random frame


def nearest_code(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the entry whose direction is closest.

    Shape:
        - vectors: ``(..., code_dim)``; codebook: ``(codes, code_dim)``; output: ``(...)`` int64
    """
    # Among unit vectors the nearest is the one of the largest product; the vector's own length
    # does not change which that is.
    return (vectors @ F.normalize(codebook, dim=-1).T).argmax(dim=-1)


class Stage(nn.Module):
    """One quantizer: into a small space, to the entry of closest direction, and back.

    Args:
        config: Sizes.
        unit_entries: Map the entry's direction back; otherwise the entry itself, as in MuQ's file.

    Attributes:
        unused: Updates since a frame last took each entry.
    """

    unused: Tensor

    def __init__(self, config: TargetConfig, *, unit_entries: bool = True) -> None:
        super().__init__()
        self.unit_entries = unit_entries
        self.project_in = nn.Linear(TARGET_DIM, config.code_dim)
        self.project_out = nn.Linear(config.code_dim, TARGET_DIM)
        self.codebook = nn.Parameter(torch.randn(config.codes, config.code_dim))
        self.register_buffer("unused", torch.zeros(config.codes, dtype=torch.int64))

    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the part of the residual that the code explains, the code, the codebook's loss.

        Shape:
            - residual and first output: ``(..., 512)``; code: ``(...)``; loss: scalar
        """
        directions = F.normalize(self.project_in(residual), dim=-1)
        code = nearest_code(directions, self.codebook)
        entries = (F.normalize(self.codebook, dim=-1) if self.unit_entries else self.codebook)[code]
        loss = F.mse_loss(entries, directions.detach())
        loss = loss + COMMITMENT * F.mse_loss(directions, entries.detach())
        passed = directions + (entries - directions).detach()  # gradients pass straight through
        return self.project_out(passed), code, loss

    @torch.no_grad()
    def replace_stale(self, residual: Tensor, code: Tensor, generator: torch.Generator) -> None:
        """Move unused entries onto random frames."""
        self.unused += 1
        self.unused[code.flatten()] = 0
        stale = (self.unused >= STALE_UPDATES).nonzero().squeeze(1)
        rows = torch.randint(len(residual), (len(stale),), generator=generator)
        self.codebook[stale] = F.normalize(self.project_in(residual[rows]), dim=-1)
        self.unused[stale] = 0


class MelRVQ(nn.Module):
    """Residual vector quantizer, trained: each stage quantizes the residual of those before it.

    Args:
        config: Sizes.
        unit_entries: See :class:`Stage`.

    Shape:
        - input: ``(B, T, 512)``; output: ``(B, T, codebooks)`` int64
    """

    def __init__(self, config: TargetConfig, *, unit_entries: bool = True) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            Stage(config, unit_entries=unit_entries) for _ in range(config.codebooks)
        )

    def quantize(self, features: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the residual after each stage, its code and the codebook's loss."""
        residual = features
        for stage in self.stages:
            explained, code, loss = stage(residual)
            residual = residual - explained
            yield residual, code, loss

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """Return the codes of all stages."""
        return torch.stack([code for _, code, _ in self.quantize(features)], dim=-1)

    @torch.no_grad()
    def reconstruction_error(self, features: Tensor) -> float:
        """Return the share of the features' variance that the codes leave unexplained."""
        *_, (residual, _, _) = self.quantize(features)
        return float(residual.square().mean() / features.var())


def train_rvq(
    rvq: MelRVQ,
    features: Tensor,
    config: TargetConfig,
    seed: int,
    progress: ProgressCallback,
) -> float:
    """Train a residual quantizer in place; return its reconstruction error.

    Shape:
        - features: ``(frames, 512)``, from ``TargetFeatures``
    """
    stages = [stage for stage in rvq.stages if isinstance(stage, Stage)]
    generator = torch.Generator().manual_seed(seed)
    device = features.device
    first = torch.randint(len(features), (config.codes,), generator=generator)
    with torch.no_grad():  # entries begin where frames are
        for stage in stages:
            stage.codebook.copy_(stage.project_in(features[first.to(device)]))
    optimizer = torch.optim.Adam(rvq.parameters(), lr=LEARNING_RATE)
    for update in range(config.rvq_steps):
        rows = torch.randint(len(features), (config.rvq_frames,), generator=generator)
        vectors = features[rows.to(device)]
        loss, seen = vectors.new_zeros(()), []
        for residual, code, code_loss in rvq.quantize(vectors):
            seen.append((vectors.detach(), code))
            vectors = residual
            loss = loss + code_loss + residual.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for stage, (seen_vectors, code) in zip(stages, seen, strict=True):
            stage.replace_stale(seen_vectors, code, generator)
        progress(update + 1, config.rvq_steps)
    return rvq.reconstruction_error(features[: 8 * config.rvq_frames])


class RandomProjection(nn.Module):
    """BEST-RQ (Chiu et al. 2022), as in MusicFM: nothing is trained.

    Each codebook has a projection (Xavier uniform) and entries (normal) of its own.

    Shape:
        - input: ``(B, T, 512)``; output: ``(B, T, codebooks)`` int64
    """

    projections: Tensor
    codebooks: Tensor

    def __init__(self, config: TargetConfig) -> None:
        super().__init__()
        projections = torch.empty(config.codebooks, TARGET_DIM, config.code_dim)
        for projection in projections:
            nn.init.xavier_uniform_(projection)
        self.register_buffer("projections", projections)
        shape = config.codebooks, config.codes, config.code_dim
        self.register_buffer("codebooks", torch.randn(shape))

    def forward(self, features: Tensor) -> Tensor:
        """Return the codes of all codebooks."""
        codes = [
            nearest_code(features @ projection, codebook)
            for projection, codebook in zip(self.projections, self.codebooks, strict=True)
        ]
        return torch.stack(codes, dim=-1)
