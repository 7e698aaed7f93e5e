"""Pretraining configuration, and sizes written as text; equal values give equal weights."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import as_layers
from hear_aesthetics.pretraining.supervised.kinds import LABELS
from hear_aesthetics.pretraining.teachers.teacher import TEACHERS
from hear_aesthetics.spec import FRAME_HOP, FRAME_RATE, SAMPLE_RATE

__all__ = [
    "CLIP_SECONDS",
    "MINI",
    "OBJECTIVES",
    "SMALL",
    "SOURCES",
    "PretrainingConfig",
    "TargetConfig",
    "encoder_sizes",
    "parse_weights",
    "target_sizes",
]

SOURCES = ("muq", "musicfm")
CLIP_SECONDS = 8.0  # of a clip in the pool, if training takes no longer ones
MAX_SECONDS = 60.0  # of a clip that is not augmented
LATER = (
    *("micro_batch", "augment", "batch_norm", "head_steps", "published_targets"),
    *("objective", "labels", "teachers", "states"),
)
OBJECTIVES = ("masked", "multitask", "distil")
# Weights of the labels' losses: one encoder leans to speech, the other to pitch, timbre and rhythm.
LABEL_WEIGHTS = {
    "muq": {
        **{"phoneme": 4.0, "pitches": 1.0, "onsets": 0.5, "presets": 0.5, "drums": 0.5},
        **{"key": 0.25, "chord": 0.25, "tempo": 0.25},
    },
    "musicfm": {
        **{"pitches": 2.0, "presets": 2.0, "onsets": 1.0, "drums": 1.0, "chord": 1.0},
        **{"key": 0.5, "tempo": 0.5, "phoneme": 0.5},
    },
}
TEACHER_WEIGHTS = {"speech_embedding": 1.0}
MINI = ConformerConfig(dim=128, depth=4, heads=4, ffn_dim=256, conv_channels=32)
SMALL = ConformerConfig(dim=160, depth=6, heads=5, ffn_dim=384, conv_channels=32)
NAMED_SIZES = {"mini": MINI, "small": SMALL, "published": ConformerConfig()}


@dataclass(frozen=True)
class TargetConfig:
    """Sizes of the targets.

    Attributes:
        codebooks: Codes per frame: projections of MusicFM's quantizer, stages of MuQ's.
        codes: Entries of a codebook.
        code_dim: Width of an entry.
        rvq_steps: Updates of the residual quantizer, which MuQ trains first.
        rvq_frames: Frames per update.
    """

    codebooks: int = 4
    codes: int = 256
    code_dim: int = 16
    rvq_steps: int = 2000
    rvq_frames: int = 2048


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of a pretraining run.

    Attributes:
        source: ``"muq"`` (targets: trained residual quantizer of the mel) or ``"musicfm"``
            (targets: random projections of the mel).
        seed: Random seed of weights, audio, masks and order.
        steps: Updates of the encoder.
        batch: Clips per update.
        micro_batch: Clips that go through the encoder at once, of which ``batch`` is a multiple;
            batch norms see these alone. None: all clips of an update.
        seconds: Length of a clip, a multiple of ``mask_seconds``.
        learning_rate: Peak learning rate.
        warmup: Updates of linear warm-up; a cosine decay to a twentieth of the peak follows.
        weight_decay: Weight decay of AdamW.
        gradient_norm: Gradient clipping, by the norm.
        mask_seconds: Length of a masked span, a multiple of a frame's 40 ms.
        mask_probability: Probability that a span is masked.
        mask_noise: Standard deviation of the noise that replaces masked audio.
        visible_weight: Weight of the loss of visible frames.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``, of the matrix products.
        evaluate_every: Updates between evaluations on held-out clips.
        held_out_batches: Batches of an evaluation.
        save_every: Updates between checkpoints.
        snapshot_every: Updates between copies of the model that are kept; 0 keeps none.
        calibration_batches: Clean batches that give the final statistics of the batch norms.
        augment: Draw speed, mix, bandwidth, level and noise floor of every clip.
        batch_norm: ``"batch"``: batch norms train with the statistics of a micro-batch;
            ``"frozen"``: with those of the encoder that training started from.
        head_steps: First updates, in which only the prediction head is trained.
        published_targets: Targets as of the published encoders: codes of the normalized log-mel, by
            the quantizer of the file that training started from.
        targets: Sizes of the targets.
        encoder: Sizes of the encoder.
        objective: Weights of ``"masked"``, ``"multitask"`` (labels) and ``"distil"`` (teachers);
            None: masked prediction alone.
        labels: Weights of the labels' losses; None: those of the source.
        teachers: Weights of the teachers' losses; None: ``speech_embedding`` alone.
        states: Hidden states that the heads of labels and teachers read side by side; None: the
            one in the middle and the last. Embeddings of the trained encoder join the same.
    """

    source: str
    seed: int = 1
    steps: int = 30_000
    batch: int = 4
    micro_batch: int | None = None
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
    augment: bool = True
    batch_norm: Literal["batch", "frozen"] = "batch"
    head_steps: int = 0
    published_targets: bool = False
    targets: TargetConfig = field(default_factory=TargetConfig)
    encoder: ConformerConfig = MINI
    objective: dict[str, float] | None = None
    labels: dict[str, float] | None = None
    teachers: dict[str, float] | None = None
    states: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(f"unknown source {self.source!r}; choose {' or '.join(SOURCES)}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(f"precision {self.precision!r}; choose auto, float32 or bfloat16")
        if self.mask_frames < 1 or round(self.mask_seconds * SAMPLE_RATE) % FRAME_HOP:
            raise InputError(f"masked spans of {self.mask_seconds} s; use a multiple of 0.04 s")
        longest = CLIP_SECONDS if self.augment else MAX_SECONDS
        if self.spans < 1 or self.samples % self.mask_samples or self.seconds > longest:
            raise InputError(
                f"clips of {self.seconds} s; use a multiple of the masked spans' "
                f"{self.mask_seconds} s, at most {longest:g} s"
            )
        if min(self.steps, self.batch, self.evaluate_every, self.save_every) < 1:
            raise InputError("steps, batch and intervals are whole numbers of at least 1")
        if self.micro_batch is not None and (self.micro_batch < 1 or self.batch % self.micro_batch):
            raise InputError(
                f"a batch of {self.batch} clips in micro-batches of {self.micro_batch}; "
                "the batch is a multiple of the micro-batch"
            )
        if not 0.0 < self.mask_probability <= 1.0:
            raise InputError(f"mask probability {self.mask_probability}; it lies in (0, 1]")
        self._complete_mixture()

    def _complete_mixture(self) -> None:
        """Fill in what the objectives need and leave out what they do not, so as to compare runs.

        Raises:
            InputError: If a name is unknown, a weight is not positive, or a state does not exist.
        """
        mixture = self.objective
        if mixture is not None and set(mixture) == {"masked"}:
            mixture = None
        for name, given, known in (
            ("objective", mixture, OBJECTIVES),
            ("label", self.labels, LABELS),
            ("teacher", self.teachers, tuple(TEACHERS)),
        ):
            check_weights(name, given, known)
        states, depth = self.states, self.encoder.depth
        if states is None:
            states = tuple(sorted({max(1, depth // 2), depth}))
        if not states or not all(0 <= state <= depth for state in as_layers(states)):
            raise InputError(f"states {states}; the encoder has 0 to {depth}")
        mixture_has = mixture or {}
        complete = {
            "objective": mixture,
            "labels": (self.labels or LABEL_WEIGHTS[self.source])
            if "multitask" in mixture_has
            else None,
            "teachers": (self.teachers or TEACHER_WEIGHTS) if "distil" in mixture_has else None,
            "states": tuple(states) if mixture else None,
        }
        for name, value in complete.items():
            object.__setattr__(self, name, value)  # the class is frozen

    @property
    def weighs_masked(self) -> bool:
        """Whether masked prediction is trained."""
        return self.objective is None or "masked" in self.objective

    @property
    def clips_at_once(self) -> int:
        """Clips of a micro-batch."""
        return self.micro_batch or self.batch

    @property
    def micro_batches(self) -> int:
        """Micro-batches of an update."""
        return self.batch // self.clips_at_once

    def settings(self) -> dict[str, Any]:
        """Return what is compared before a run is gone on with, as JSON values.

        Fields that earlier versions did not have are there where they are not the default.
        """
        defaults = {item.name: item.default for item in fields(self)}
        values = asdict(self)
        return {k: v for k, v in values.items() if k not in LATER or v != defaults[k]}

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


def parse_weights(text: str) -> dict[str, float]:
    """Return names and weights; a name without a weight weighs 1.

    >>> parse_weights("multitask=1,masked=0.2")
    {'multitask': 1.0, 'masked': 0.2}

    Raises:
        InputError: If a weight is no number.
    """
    found = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            found[name] = float(weight or 1)
        except ValueError:
            raise InputError(f"{part!r}; write NAME=WEIGHT, such as {name}=0.5") from None
    return found


def check_weights(kind: str, weights: Mapping[str, float] | None, known: Collection[str]) -> None:
    """Check names and weights.

    Raises:
        InputError: If a name is unknown, or a weight is not positive.
    """
    for name, weight in (weights or {}).items():
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}; choose of {', '.join(known)}")
        if not 0 < weight < math.inf:
            raise InputError(f"{kind} {name} has the weight {weight:g}; weights are above 0")


T = TypeVar("T", ConformerConfig, TargetConfig)


def encoder_sizes(text: str) -> ConformerConfig:
    """Return the sizes of an encoder: ``mini``, ``small``, ``published``, or changes to ``mini``.

    >>> encoder_sizes("dim=256,depth=6").ffn_dim
    256

    Raises:
        InputError: If a name is unknown or a value is no positive whole number.
    """
    return NAMED_SIZES[text] if text in NAMED_SIZES else _changed(MINI, text)


def target_sizes(text: str) -> TargetConfig:
    """Return the sizes of the targets: changes to the defaults, such as ``codebooks=8``."""
    return _changed(TargetConfig(), text)


def _changed(defaults: T, text: str) -> T:
    known = [f.name for f in fields(defaults) if isinstance(getattr(defaults, f.name), int)]
    values: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in known or not value.isdecimal() or not int(value):
            raise InputError(f"size {part!r}; it takes NAME=NUMBER, names: {', '.join(known)}")
        values[name] = int(value)
    try:
        return replace(defaults, **values)
    except ValueError as error:
        raise InputError(f"sizes {text!r}: {error}") from error
