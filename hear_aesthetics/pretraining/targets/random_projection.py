"""MusicFM's random-projection quantizer, and the code search that both quantizers share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.pretraining.config import TargetConfig
from hear_aesthetics.pretraining.targets.normalized_mel import TARGET_DIM

__all__ = ["RandomProjection", "nearest_code"]


def nearest_code(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the entry whose direction is closest.

    Shape:
        - vectors: ``(..., code_dim)``; codebook: ``(codes, code_dim)``; output: ``(...)`` int64
    """
    # Among unit vectors the nearest is the one of the largest product; the vector's own length
    # does not change which that is.
    return (vectors @ F.normalize(codebook, dim=-1).T).argmax(dim=-1)


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
