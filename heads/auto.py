"""Loading a head without knowing which: its file says, by a description or by tensor names."""

from pathlib import Path
from typing import Any

from heads.aesthetic import AestheticHead
from heads.checkpoint import PretrainedHead, locate, read_tensors
from heads.dual_branch import DualBranchHead
from heads.songeval_baseline import SongEvalBaselineHead

__all__ = ["HEADS", "head_name", "load_head"]

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
    kind = HEADS.get(head_name(path))
    if kind is None:
        raise ValueError(f"{path}: holds no head known here; the known ones are {sorted(HEADS)}")
    return kind.from_pretrained(source, filename=filename, revision=revision, **overrides)


def head_name(path: Path) -> str:
    """Return the name of the class whose weights a file holds, which may be of another package.

    Raises:
        ValueError: If the file is broken, or neither says what it holds nor is in a published
            layout.
    """
    tensors, saved = read_tensors(path)
    if saved is not None:
        return str(saved.get("head"))
    for mark, head in PUBLISHED_MARKS.items():
        if mark in tensors:
            return head.__name__
    raise ValueError(
        f"{path}: holds no head known here, but tensors of no published layout; the known ones "
        f"are {sorted(HEADS)}"
    )
