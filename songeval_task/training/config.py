"""Training configuration, merged from defaults, a JSON file and the command line.

The defaults are the published training (HEAR, Sec. 3) with its faults mended; ``RECIPES`` has the
released training to the letter. A track is data, not a script: it sets the dimensions and the
weight of the ranking loss.
"""

import json
import logging
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch

from heads import AestheticHead, AestheticHeadConfig, SongEvalBaselineConfig, SongEvalBaselineHead
from hear_aesthetics.errors import InputError
from hear_aesthetics.scorers import FUSED
from hear_aesthetics.text_files import read_json
from songeval_task.dimensions import TRACKS, Track

__all__ = [
    *("RECIPES", "SongEvalConfig", "TrainableHead"),
    *("build_head", "parse_sizes", "read_config"),
]

LOGGER = logging.getLogger(__name__)

TrainableHead = AestheticHead | SongEvalBaselineHead  # a pooled vector, and scores of it

# Sizes of a head by name; "published" is what the configurations default to.
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "published": {"aesthetic": {}, "baseline": {}},
    "small": {
        "aesthetic": {
            "projection_dim": 128,
            "dim": 64,
            "ffn_dim": 128,
            "layers": 1,
            "attention_heads": 2,
            "downsampling": 6,
            "pooling_bottleneck": 32,
        },
        # attention with dropout, over frames that are not downsampled, would be most of the time
        "baseline": {"ffn_dim": 256, "layers": 1, "attention_heads": 1, "dropout": 0.0},
    },
}

# What differs from the defaults, by name; docs/explanation/recipes.md says why they differ.
RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "published": {
        "hold_out_valid": False,
        "select_on": "test",
        "patience": 0,
        "last_version_only": True,
        "updates": "released",
    },
}


@dataclass(frozen=True, kw_only=True)
class SongEvalConfig:
    """Configuration of a run: all that decides it besides the data and the features.

    Attributes:
        track: Name in ``TRACKS``.
        features: Tensor of the store to read: ``"fused"`` trains the aesthetic head, a hidden state
            such as ``"muq_06"`` the SongEval baseline head.
        head_size: A name in ``SIZES``, or fields of the head's configuration, ``"dim=64,layers=2"``
            (unnamed fields as published).
        mixup: Mix pooled vectors and labels of pairs of songs (C-Mixup).
        mixup_per_sample: One factor per pair instead of one per micro-batch.
        mixup_bandwidth: Bandwidth of the partner distribution, score points.
        augmented: Train on the augmented versions too.
        last_version_only: Train on the last augmented version of each song alone, never on the
            original, as the released code came to do.
        regression: Loss of the scores themselves.
        rank_weight: Weight of ListMLE; None: the track's.
        epochs: Most passes over the training rows.
        batch_size: Rows of a micro-batch, the list of ListMLE.
        accumulation: Micro-batches of an update.
        learning_rate: Initial learning rate of Adam.
        weight_decay: Weight decay of Adam (L2).
        gradient_norm: Largest norm of an update's gradient.
        plateau_patience: Updates without a better smoothed loss before the rate halves.
        min_learning_rate: The rate goes no lower.
        patience: Evaluations without a better score before training stops; 0: never.
        updates: ``"mean"``, or ``"released"``: as in the released loop, a short last update of an
            epoch is still divided by ``accumulation``, a last row alone trains too, the rate
            follows the loss of each update's last micro-batch alone, a song that a micro-batch
            draws twice has two dropout masks, and its scores are rounded to bfloat16 by autocast.
        precision: Of training: ``"float32"``, ``"bfloat16"`` (autocast), or ``"auto"``. Scores that
            select or are reported are float32.
        hold_out_valid: Keep the valid songs out of training; False: they train too.
        select_on: Split that selects the head: ``"valid"``, once an epoch; or ``"test"``, after
            every update on the songs that are reported, by rounded metrics, as the released code
            did, so that the figures are optimistic.
        standardize: Train on features of mean 0 and deviation 1 per channel, and fold both into the
            head at the end; not part of the published training.
        shuffle_labels: Control experiment: training and valid songs swap their labels at random.
        seed: Random seed of weights, order, partners, factors, ties and dropout.
    """

    track: str = "track2"
    features: str = FUSED
    head_size: str = "published"
    mixup: bool = True
    mixup_per_sample: bool = False
    mixup_bandwidth: float = 1.0
    augmented: bool = True
    last_version_only: bool = False
    regression: Literal["smooth_l1", "l1", "mse"] = "smooth_l1"
    rank_weight: float | None = None
    epochs: int = 60
    batch_size: int = 8
    accumulation: int = 4
    learning_rate: float = 1e-5
    weight_decay: float = 1e-3
    gradient_norm: float = 1.0
    plateau_patience: int = 400
    min_learning_rate: float = 1e-8
    patience: int = 10
    updates: Literal["mean", "released"] = "mean"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    hold_out_valid: bool = True
    select_on: Literal["valid", "test"] = "valid"
    standardize: bool = False
    shuffle_labels: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            _check_type(item.name, value, HINTS[item.name])
            if isinstance(value, int | float) and not value >= 0:  # NaN is neither
                raise InputError(f"{item.name} is {value}; it must be 0 or more")
        if self.track not in TRACKS:
            raise InputError(f"track {self.track!r} is unknown; choose {' or '.join(TRACKS)}")
        for name in ("epochs", "accumulation", "learning_rate", "gradient_norm", "mixup_bandwidth"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.seed >= 2**63:  # what torch takes
            raise InputError(f"seed is {self.seed}; it must be below 2**63")
        if self.batch_size < 2:
            raise InputError(f"batch_size is {self.batch_size}; a list to rank needs 2 or more")
        if self.select_on == "valid" and not self.hold_out_valid:
            raise InputError("select_on is valid, whose songs train; hold them out, or take test")
        parse_sizes(self.head_size, self.head_kind)

    @property
    def dimensions(self) -> Track:
        """The track, with the dimensions to score."""
        return TRACKS[self.track]

    @property
    def ranking(self) -> float:
        """Weight of the ranking loss."""
        return self.dimensions.rank_weight if self.rank_weight is None else self.rank_weight

    @property
    def head_kind(self) -> str:
        """``"aesthetic"`` or ``"baseline"``, by what the features are."""
        return "aesthetic" if self.features == FUSED else "baseline"


HINTS = typing.get_type_hints(SongEvalConfig)


def read_config(
    file: Path | None,
    settings: Sequence[str],
    options: Mapping[str, Any],
    recipe: str = "default",
    initial: Mapping[str, Any] | None = None,
) -> SongEvalConfig:
    """Return the configuration of a command line.

    Args:
        recipe: Name in ``RECIPES``, over the defaults.
        file: JSON object of fields, over the recipe; also the ``config.json`` of a run.
        settings: ``"key=value"`` each, over the file.
        options: Named options, over both; those that are None were not given.
        initial: Fields that follow from the head that training starts from, below all others.

    Raises:
        InputError: If a file cannot be read, or a key or value is wrong.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe {recipe!r} is unknown; choose {' or '.join(RECIPES)}")
    values = {**(initial or {}), **RECIPES[recipe]}
    values |= _read_file(file, starts=initial is not None) if file else {}
    for setting in settings:
        key, given, text = setting.partition("=")
        if not given:
            raise InputError(f"--set {setting}: write key=value, such as epochs=20")
        values[key.strip()] = _literal(text.strip())
    values |= {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(values) - set(HINTS))
    if unknown:
        raise InputError(f"no such training option: {unknown[0]}; there are {', '.join(HINTS)}")
    return SongEvalConfig(**values)


def build_head(config: SongEvalConfig, width: int) -> TrainableHead:
    """Return a new head for features of a width, drawn from the config's seed.

    Raises:
        InputError: If the sizes do not fit together.
    """
    sizes = dict(parse_sizes(config.head_size, config.head_kind))
    sizes["dimensions"] = config.dimensions.names
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        try:
            if config.head_kind == "aesthetic":
                return AestheticHead(AestheticHeadConfig(feature_dim=width, **sizes))
            return SongEvalBaselineHead(SongEvalBaselineConfig(dim=width, **sizes))
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"head_size {config.head_size}: {error}") from error


def parse_sizes(text: str, kind: str) -> dict[str, Any]:
    """Return fields of a head's configuration from a name in ``SIZES`` or ``"dim=64,layers=2"``.

    Raises:
        InputError: If it is neither; names the fields that there are.
    """
    if text in SIZES:
        return SIZES[text][kind]
    known = AestheticHeadConfig if kind == "aesthetic" else SongEvalBaselineConfig
    given = {"dimensions", "low", "high", "feature_dim" if kind == "aesthetic" else "dim"}
    names = {item.name for item in fields(known)} - given
    pairs = [part.partition("=") for part in text.split(",")]
    sizes = {key.strip(): _literal(value) for key, _, value in pairs}
    wrong = [key for key, value in sizes.items() if key not in names or isinstance(value, str)]
    if wrong:
        raise InputError(
            f"head_size {text!r}: {wrong[0]!r} is no size of the {kind} head; choose "
            f"{' or '.join(SIZES)}, or key=value of {', '.join(sorted(names))}"
        )
    return sizes


def _read_file(file: Path, *, starts: bool) -> dict[str, Any]:
    values = read_json(file, object, remedy="write a JSON object of training options")
    if isinstance(values, dict) and "provenance" in values:  # of a finished run
        if (init := values["provenance"].get("init")) and not starts:
            LOGGER.warning("%s: began with %s, this run with random weights (--init)", file, init)
        values = values["provenance"].get("training")
    if not isinstance(values, dict):
        raise InputError(f"{file}: holds no training options; write a JSON object of them")
    # of earlier versions
    if "standardise" in values:
        values["standardize"] = values.pop("standardise")
    if values.pop("protocol", None) == "published":
        values |= {"select_on": "test", "last_version_only": True}
    return values


def _literal(text: str) -> Any:
    """Return a JSON value, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_type(name: str, value: Any, hint: Any) -> None:
    """Check a value that may come from JSON against the field's annotation."""
    allowed = typing.get_args(hint) or (hint,)  # the values of a Literal, the types of a union
    if typing.get_origin(hint) is Literal:
        fits, wanted = value in allowed, " or ".join(allowed)
    else:
        fits = type(value) in allowed or (type(value) is int and float in allowed)
        wanted = allowed[0].__name__
    if not fits:
        raise InputError(f"{name} is {value!r}; it takes {wanted}")
