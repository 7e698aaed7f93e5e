"""Recognition of the head that a file holds, by its description or by its tensor names."""

from pathlib import Path

from torch import nn

from heads.aesthetic import AestheticHead
from heads.audiobox import AudioboxHead
from heads.checkpoint import PretrainedHead, read_names
from heads.dual_branch import DualBranchHead
from heads.muq_eval import MuQEvalHead
from heads.songeval_baseline import SongEvalBaselineHead

__all__ = ["HEADS", "head_name"]

HEADS: dict[str, type[PretrainedHead]] = {
    head.__name__: head
    for head in (AestheticHead, SongEvalBaselineHead, DualBranchHead, MuQEvalHead)
}
PUBLISHED_MARKS: dict[str, type[nn.Module]] = {  # a tensor that only this published layout has
    "mixed_win_downsample.weight": AestheticHead,
    "attn.0.in_proj_weight": SongEvalBaselineHead,
    "layer_weights.CE": AudioboxHead,
    "encoder.pooling.attention.0.weight": MuQEvalHead,
}


def head_name(path: Path) -> str:
    """Return the name of the class whose weights a file holds, which may be of another package.

    Raises:
        ValueError: If the file is broken, or has neither a description nor a published layout.
    """
    names, saved = read_names(path)
    if saved is not None:
        return str(saved.get("head"))
    for mark, head in PUBLISHED_MARKS.items():
        if mark in names:
            return head.__name__
    known = {*HEADS, *(head.__name__ for head in PUBLISHED_MARKS.values())}
    raise ValueError(
        f"{path}: holds no head: its tensors are of no layout known here, which are those of "
        f"{', '.join(sorted(known))}"
    )
