"""The eight members of the published ensemble: head variant, kind of target and seed of each."""

from dataclasses import dataclass, field
from typing import Any, Literal

from heads import DualBranchConfig

__all__ = ["MEMBERS", "EnsembleMember", "Target", "TrainingRecipe", "head_config"]

Target = Literal["gaussian", "one-hot", "coral"]
TrainingRecipe = Literal["corrected", "published"]
PUBLISHED_AUDIO_DIM, PUBLISHED_COMMON_DIM = 1024, 768


@dataclass(frozen=True)
class EnsembleMember:
    """One model of the ensemble, named like its run folder.

    ``variant`` holds the fields of ``DualBranchConfig`` that differ from the main model.
    """

    name: str
    seed: int = 1984
    target: Target = "gaussian"
    variant: dict[str, Any] = field(default_factory=dict)


MEMBERS = {
    member.name: member
    for member in (
        EnsembleMember("gaussian-1984", seed=1984),
        EnsembleMember("gaussian-1990", seed=1990),
        EnsembleMember("gaussian-1910", seed=1910),
        EnsembleMember("gaussian-1510", seed=1510),
        EnsembleMember("one-hot", target="one-hot"),
        EnsembleMember("coral", seed=1510, target="coral", variant={"output": "ordinal"}),
        EnsembleMember("decoupled-lstm", variant={"coupled": False, "branch": "lstm"}),
        EnsembleMember("decoupled", variant={"coupled": False}),
    )
}


def head_config(
    member: EnsembleMember, audio_dim: int, text_dim: int, recipe: TrainingRecipe = "corrected"
) -> DualBranchConfig:
    """Return the configuration of a member's head over states of these widths.

    The common width keeps its published proportion to that of the audio states, 768 to 1024.

    The recipe "corrected" adds positions to every batch, pools the tokens of a prompt, and adds the
    text to what it attends to. "published" is the released code: positions in batches of one only,
    padding pooled in place of tokens, and no text beside what it attends to, so that the head can
    choose frames by the text, but hardly compare the two.
    """
    corrected = recipe == "corrected"
    return DualBranchConfig(
        audio_dim=audio_dim,
        text_dim=text_dim,
        common_dim=audio_dim * PUBLISHED_COMMON_DIM // PUBLISHED_AUDIO_DIM,
        positions_alone=not corrected,
        text_residual=corrected,
        text_pooling="attentive" if corrected else "released",
        **member.variant,
    )
