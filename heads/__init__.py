"""Heads that turn ``(batch, frames, dim)`` features and a ``padding_mask`` into scores.

``padding_mask`` is bool ``(batch, frames)``, True = padded; without one, nothing is padded. The
package needs torch, safetensors and huggingface_hub only, and knows nothing of audio.
"""

from heads.aesthetic import AestheticHead, AestheticHeadConfig
from heads.audiobox import AudioboxConfig, AudioboxHead
from heads.checkpoint import SequenceHead
from heads.dual_branch import DualBranchConfig, DualBranchHead
from heads.layers.pooling import MQMHASTP, AttentivePooling
from heads.muq_eval import MuQEvalConfig, MuQEvalHead
from heads.objectives.cmixup import CMixupSampler, mix, mix_factor
from heads.objectives.distribution import (
    bin_centers,
    expected_score,
    gaussian_target,
    kl_loss,
    one_hot_target,
    score_deviation,
    score_interval,
)
from heads.objectives.losses import hybrid_loss, list_mle
from heads.objectives.ordinal import (
    MonotonicOrdinalHead,
    coral_loss,
    expected_rank,
    rank_probabilities,
)
from heads.scale import SONGBENCH_DIMENSIONS, SONGEVAL_DIMENSIONS
from heads.songeval_baseline import SongEvalBaselineConfig, SongEvalBaselineHead

__all__ = [
    "MQMHASTP",
    "SONGBENCH_DIMENSIONS",
    "SONGEVAL_DIMENSIONS",
    "AestheticHead",
    "AestheticHeadConfig",
    "AttentivePooling",
    "AudioboxConfig",
    "AudioboxHead",
    "CMixupSampler",
    "DualBranchConfig",
    "DualBranchHead",
    "MonotonicOrdinalHead",
    "MuQEvalConfig",
    "MuQEvalHead",
    "SequenceHead",
    "SongEvalBaselineConfig",
    "SongEvalBaselineHead",
    "bin_centers",
    "coral_loss",
    "expected_rank",
    "expected_score",
    "gaussian_target",
    "hybrid_loss",
    "kl_loss",
    "list_mle",
    "mix",
    "mix_factor",
    "one_hot_target",
    "rank_probabilities",
    "score_deviation",
    "score_interval",
]
