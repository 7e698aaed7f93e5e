"""Encoder that pretraining starts from: a published one, or one that was pretrained here.

Where its files hold the prediction head and the quantizer, training goes on with the objective that
the encoder was trained by: the published files hold both, under their own names; an encoder that
was pretrained here has them in ``masked_prediction.safetensors`` beside its weights. Where they are
missing, as in the bundled ``mini``, targets are made from the audio, and a new head is trained
alone before the encoder is.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.backbones.files import published_tensors
from hear_aesthetics.backbones.published import training_tensors
from hear_aesthetics.checkpoints import locate_model, weight_hash
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.model import ENCODERS, ModelConfig
from hear_aesthetics.pretraining.config import PretrainingConfig, TargetConfig
from hear_aesthetics.pretraining.objective import MaskedPrediction
from hear_aesthetics.pretraining.targets.published import objective_from_published
from hear_aesthetics.text_files import read_json

__all__ = ["OBJECTIVE_FILE", "InitialEncoder"]

OBJECTIVE_FILE = "masked_prediction.safetensors"
NEW_HEAD_STEPS = 500  # of a new prediction head alone, before the encoder is trained


@dataclass(frozen=True)
class InitialEncoder:
    """Encoder to start from, with what its files hold of its training.

    Attributes:
        name: Name of the model, or of its directory.
        source: ``"muq"`` or ``"musicfm"``.
        folder: Folder of its files.
        backbone: With batch norms, on the processor.
        targets: Sizes of quantizer and head; None if the files lack one of them.
        objective: State of quantizer and head, as ``MaskedPrediction.objective_state``.
        published: Whether these are the published encoders' objective.
        training_only: Published tensors that no feature depends on.
        layout: ``config.json`` of MuQ; empty for MusicFM.
        model: Configuration of the model directory.
        licence: Licence of the weights.
        made: What decides the numbers: hashes of the files, mel statistics.
    """

    name: str
    source: str
    folder: Path
    backbone: Backbone
    targets: TargetConfig | None
    objective: dict[str, Tensor]
    published: bool
    training_only: dict[str, Tensor]
    layout: dict[str, Any]
    model: ModelConfig
    licence: str
    made: dict[str, Any]

    @classmethod
    def read(cls, model: str, source: str) -> "InitialEncoder":
        """Read an encoder of a model: ``"large"``, ``"mini"`` or a model directory.

        Raises:
            InputError: If there is no such model.
            CheckpointError: If its files are not what they should be.
            WeightsUnavailableError: If they are neither on this machine nor reachable.
        """
        files = locate_model(model, sources=(source,))
        config = ModelConfig.read(files.config)
        path, statistics = ENCODERS[source].read_layout(files.encoders[source])
        tensors = published_tensors(path)
        made = {"sha256": weight_hash(path), "mel_mean": statistics.mean, "mel_std": statistics.std}
        try:
            backbone = Backbone.trainable(tensors, statistics)
            found = objective_from_published(tensors, source)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        own = path.parent / OBJECTIVE_FILE
        published = found is not None
        if found is None and own.is_file():
            found = _own_objective(own, source)
            made["objective_sha256"] = weight_hash(own)
        targets, objective = found or (None, {})
        layout = path.parent / "config.json"
        return cls(
            name=files.name,
            source=source,
            folder=path.parent,
            backbone=backbone,
            targets=targets,
            objective=objective,
            published=published,
            training_only=training_tensors(tensors),
            layout=read_json(layout, error=CheckpointError) if source == "muq" else {},
            model=config,
            licence=files.provenance.get("licence", config.licence),
            made=made,
        )

    def options(self, *, new_heads: bool = False) -> dict[str, Any]:
        """Return the fields of a :class:`PretrainingConfig` that follow from the encoder.

        Args:
            new_heads: Whether training has heads that no file holds: of labels or teachers.
        """
        new_head = new_heads or self.targets is None
        return {
            "source": self.source,
            "encoder": self.backbone.config,
            "targets": self.targets or TargetConfig(),
            "augment": not self.published,
            "batch_norm": "frozen",
            "head_steps": NEW_HEAD_STEPS if new_head else 0,
            "published_targets": self.published,
        }

    def check(self, config: PretrainingConfig, out: Path) -> None:
        """Check that a run can start from the encoder.

        Raises:
            InputError: If the run has other sizes, or would write over the encoder's files.
        """
        for option, theirs, ours in (
            ("--size", self.backbone.config, config.encoder),
            ("--targets", self.targets, config.targets),
        ):
            if theirs is not None and theirs != ours:
                sizes = ", ".join(f"{name} {value}" for name, value in asdict(theirs).items())
                raise InputError(
                    f"{self.name}: its {self.source} has {sizes}, the run others; leave {option} "
                    "out, it follows from --init"
                )
        if (out / self.source).resolve() == self.folder.resolve():
            raise InputError(f"{out}: holds the encoder to start from; take another --out")

    @torch.no_grad()
    def load_into(self, model: MaskedPrediction) -> None:
        """Copy encoder, quantizer and head into a model of the sizes of :meth:`options`."""
        model.backbone.load_state_dict(self.backbone.state_dict())
        if self.objective:
            missing, unexpected = model.load_state_dict(self.objective, strict=False)
            wrong = [name for name in missing if name in model.objective_state()] + unexpected
            if wrong:
                raise CheckpointError(f"{self.folder / OBJECTIVE_FILE}: does not fit: {wrong[0]}")


def _own_objective(path: Path, source: str) -> tuple[TargetConfig, dict[str, Tensor]]:
    """Return sizes and state of what :func:`hear_aesthetics.pretraining.export` wrote."""
    state = published_tensors(path)
    try:
        if source == "musicfm":
            codebooks, codes, code_dim = state["quantizer.codebooks"].shape
        else:
            codes, code_dim = state["quantizer.stages.0.codebook"].shape
            codebooks = sum(name.endswith(".codebook") for name in state)
        sizes = TargetConfig(codebooks, codes, code_dim)
        if len(state["head.weight"]) != codebooks * codes:
            raise ValueError(f"{len(state['head.weight'])} outputs for {codebooks} x {codes} codes")
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: no quantizer and head of {source} ({error})") from error
    return sizes, state
