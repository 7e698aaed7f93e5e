"""Everything that decides a pretraining run; the same values give the same weights."""

from dataclasses import asdict, dataclass, field
from typing import Any

from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.errors import InputError
from hear_aesthetics.spec import FRAME_HOP, FRAME_RATE, SAMPLE_RATE

__all__ = ["CLIP_SECONDS", "MINI", "SOURCES", "PretrainConfig", "TargetConfig"]

SOURCES = ("muq", "musicfm")
CLIP_SECONDS = 8.0  # of a clip in the pool
MINI = ConformerConfig(dim=128, depth=4, heads=4, ffn_dim=256, conv_channels=32)


@dataclass(frozen=True)
class TargetConfig:
    """What is predicted.

    Attributes:
        codebooks: Codes per frame: projections of MusicFM's quantiser, stages of MuQ's.
        codes: Entries of a codebook.
        code_dim: Width of an entry.
        rvq_steps: Updates of the residual quantiser, which MuQ trains first.
        rvq_frames: Frames per update.
    """

    codebooks: int = 4
    codes: int = 256
    code_dim: int = 16
    rvq_steps: int = 2000
    rvq_frames: int = 2048


@dataclass(frozen=True)
class PretrainConfig:
    """A run.

    Attributes:
        source: ``"muq"`` (targets: trained residual quantiser of the mel) or ``"musicfm"``
            (targets: random projections of the mel).
        seed: Of weights, audio, masks and order.
        steps: Updates of the encoder.
        batch: Clips per update.
        seconds: Length of a clip, a multiple of ``mask_seconds``.
        learning_rate: Its peak.
        warmup: Updates in which it rises; afterwards it falls as a cosine to a twentieth.
        weight_decay: Of AdamW.
        gradient_norm: Larger gradients are scaled down to it.
        mask_seconds: Length of a masked span, a multiple of a frame's 40 ms.
        mask_probability: Of each span.
        mask_noise: Standard deviation of the noise that replaces masked audio.
        visible_weight: Weight of the loss of frames that are not masked.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``, of the matrix products.
        evaluate_every: Updates between evaluations on held-out clips.
        held_out_batches: Batches of an evaluation.
        save_every: Updates between checkpoints.
        snapshot_every: Updates between copies of the model that are kept; 0 keeps none.
        calibration_batches: Clean batches that give the final statistics of the batch norms.
        targets: What is predicted.
        encoder: Sizes of the encoder.
    """

    source: str
    seed: int = 1
    steps: int = 30_000
    batch: int = 4
    seconds: float = 2.4
    learning_rate: float = 1e-3
    warmup: int = 500
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    mask_seconds: float = 0.4
    mask_probability: float = 0.6
    mask_noise: float = 0.1
    visible_weight: float = 0.0
    precision: str = "auto"
    evaluate_every: int = 1000
    held_out_batches: int = 32
    save_every: int = 500
    snapshot_every: int = 0
    calibration_batches: int = 64
    targets: TargetConfig = field(default_factory=TargetConfig)
    encoder: ConformerConfig = MINI

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(f"unknown source {self.source!r}; choose {' or '.join(SOURCES)}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(f"precision {self.precision!r}; choose auto, float32 or bfloat16")
        if self.mask_frames < 1 or round(self.mask_seconds * SAMPLE_RATE) % FRAME_HOP:
            raise InputError(f"masked spans of {self.mask_seconds} s; use a multiple of 0.04 s")
        if self.spans < 1 or self.samples % self.mask_samples or self.seconds > CLIP_SECONDS:
            raise InputError(
                f"clips of {self.seconds} s; use a multiple of the masked spans' "
                f"{self.mask_seconds} s, at most {CLIP_SECONDS:g} s"
            )
        if min(self.steps, self.batch, self.evaluate_every, self.save_every) < 1:
            raise InputError("steps, batch and intervals are whole numbers of at least 1")
        if not 0.0 < self.mask_probability <= 1.0:
            raise InputError(f"mask probability {self.mask_probability}; it lies in (0, 1]")

    @property
    def samples(self) -> int:
        """Samples of a training clip."""
        return round(self.seconds * SAMPLE_RATE)

    @property
    def mask_samples(self) -> int:
        """Samples of a masked span."""
        return self.mask_frames * FRAME_HOP

    @property
    def mask_frames(self) -> int:
        """Frames of a masked span."""
        return round(self.mask_seconds * FRAME_RATE)

    @property
    def spans(self) -> int:
        """Spans of a training clip, each masked or not."""
        return self.samples // self.mask_samples

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON takes them."""
        return asdict(self)
