"""Prediction head and quantizer in the published weight files, by the names they have there.

MuQ: ``linear`` and ``rvq.quantizers.N``, a residual quantizer of the mel. MusicFM: ``linear`` and
``quantizer_melspec_2048_N``, random projections of the mel. ``linear`` gives the logits of the
first codebook's codes, then those of the second, and so on.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.pretraining.config import TargetConfig
from hear_aesthetics.pretraining.targets.normalized_mel import TARGET_DIM

__all__ = ["objective_from_published", "published_head"]

State = dict[str, Tensor]
HEAD = {"head.weight": "linear.weight", "head.bias": "linear.bias"}
NUMBERED = {"muq": r"rvq\.quantizers\.(\d+)\.", "musicfm": r"quantizer_melspec_2048_(\d+)\."}


def objective_from_published(
    tensors: Mapping[str, Tensor], source: str
) -> tuple[TargetConfig, State] | None:
    """Return sizes and state of head and quantizer; None if the file lacks one of them.

    Args:
        tensors: Published name, without ``model.`` -> tensor.
        source: ``"muq"`` or ``"musicfm"``.

    Returns:
        The sizes, and tensors by their names in
        :class:`hear_aesthetics.pretraining.objective.MaskedPrediction`.

    Raises:
        CheckpointError: If they are there but do not go together.
    """
    numbers = {int(m[1]) for name in tensors if (m := re.match(NUMBERED[source], name))}
    if not numbers or HEAD["head.weight"] not in tensors:
        return None
    try:
        head = {ours: tensors[name] for ours, name in HEAD.items()}
        codebooks = range(max(numbers) + 1)
        make = _residual_quantizer if source == "muq" else _random_projections
        quantizer, shape = make(tensors, codebooks)
    except (KeyError, RuntimeError) as error:
        reason = f"no tensor {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"not a quantizer that is known: {reason}") from error
    codes, code_dim = shape
    rows = len(codebooks) * codes
    if len(head["head.weight"]) != rows or len(head["head.bias"]) != rows:
        raise CheckpointError(
            f"linear has {len(head['head.weight'])} outputs, but the quantizer {len(codebooks)} x "
            f"{codes} codes"
        )
    return TargetConfig(len(codebooks), codes, code_dim), {**head, **quantizer}


def published_head(state: Mapping[str, Tensor]) -> State:
    """Return the head of a ``MaskedPrediction`` under its published names."""
    return {name: state[ours].detach().cpu() for ours, name in HEAD.items()}


def _residual_quantizer(
    tensors: Mapping[str, Tensor], codebooks: range
) -> tuple[State, tuple[int, int]]:
    state: State = {}
    for number in codebooks:
        theirs, ours = f"rvq.quantizers.{number}", f"quantizer.stages.{number}"
        for published, name in (("in_proj", "project_in"), ("out_proj", "project_out")):
            state[f"{ours}.{name}.weight"] = _weight(tensors, f"{theirs}.{published}")
            state[f"{ours}.{name}.bias"] = tensors[f"{theirs}.{published}.bias"]
        state[f"{ours}.codebook"] = tensors[f"{theirs}.codebook.weight"]
        codes = len(state[f"{ours}.codebook"])
        state[f"{ours}.unused"] = torch.zeros(codes, dtype=torch.int64)
    return state, _shape([state[f"quantizer.stages.{number}.codebook"] for number in codebooks])


def _weight(tensors: Mapping[str, Tensor], module: str) -> Tensor:
    """Return the matrix of a weight-normalized convolution of one tap, in either spelling."""
    for length, direction in (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ):
        if f"{module}.{direction}" in tensors:
            rows = tensors[f"{module}.{direction}"].squeeze(-1)
            lengths = tensors[f"{module}.{length}"].squeeze(-1)
            return rows * (lengths / rows.norm(dim=1, keepdim=True))
    raise KeyError(f"{module}.weight_v")


def _random_projections(
    tensors: Mapping[str, Tensor], codebooks: range
) -> tuple[State, tuple[int, int]]:
    names = [f"quantizer_melspec_2048_{number}" for number in codebooks]
    projections = torch.stack([tensors[f"{name}.random_projection"] for name in names])
    entries = [tensors[f"{name}.codebook"] for name in names]
    if projections.shape[1] != TARGET_DIM:
        raise RuntimeError(f"it takes {projections.shape[1]} values per frame, not {TARGET_DIM}")
    state = {"quantizer.projections": projections, "quantizer.codebooks": torch.stack(entries)}
    return state, _shape(entries)


def _shape(entries: list[Tensor]) -> tuple[int, int]:
    """Return number and width of the entries of every codebook."""
    codes, code_dim = torch.stack(entries).shape[1:]
    return codes, code_dim
