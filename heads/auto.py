"""Loading a head without knowing which: its file says, by a description or by tensor names."""

from pathlib import Path
from typing import Any

from heads.aesthetic import AestheticHead
from heads.checkpoint import PretrainedHead, locate, read_tensors
from heads.dual_branch import DualBranchHead
from heads.songeval_baseline import SongEvalBaselineHead

__all__ = ["load_head"]

HEADS: dict[str, type[PretrainedHead]] = {
    head.__name__: head for head in (AestheticHead, SongEvalBaselineHead, DualBranchHead)
}
PUBLISHED_MARKS = {  # a tensor that only this published layout has
    "mixed_win_downsample.weight": AestheticHead,
    "attn.0.in_proj_weight": SongEvalBaselineHead,
}


def load_head(
    source: str | Path,
    *,
    filename: str | None = None,
    revision: str | None = None,
    **overrides: Any,
) -> PretrainedHead:
    """Load a saved or published head of any kind, in evaluation mode.

    Args:
        source: File, folder or hub repository, as for ``from_pretrained``.
        filename: File in the folder or repository; default: ``model.safetensors``.
        revision: Commit, branch or tag of the hub repository.
        **overrides: Fields of the configuration to set.

    Raises:
        ValueError: If the file is not there, or holds no head known here.
    """
    path = locate(str(source), filename, revision)
    tensors, saved = read_tensors(path)
    if saved is not None:
        kind = HEADS.get(str(saved.get("head")))
    else:
        kind = next((head for mark, head in PUBLISHED_MARKS.items() if mark in tensors), None)
    if kind is None:
        raise ValueError(f"{path}: holds no head known here; the known ones are {sorted(HEADS)}")
    head = kind.from_pretrained(path, **overrides)
    if saved is None:
        head.provenance = {"source": str(source), "file": path.name, "revision": revision}
    return head
