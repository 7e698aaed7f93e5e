"""Where the songs come from: a folder on this machine, or the hub."""

from pathlib import Path
from typing import NamedTuple

from hear_aesthetics.checkpoints import hub
from hear_aesthetics.errors import DataUnavailableError
from songeval_task.data.dataset import METADATA

__all__ = ["HUB", "Source", "obtain"]

HUB = "hub"  # what the user writes instead of a folder
REPO = "ASLP-lab/SongEval"
REVISION = "add0f9192de1f6211e0fce65211e54799de9392b"
SIZE, LICENCE = "11.1 GB", "CC BY-NC-SA 4.0"


class Source(NamedTuple):
    """A data set on this machine.

    Attributes:
        folder: With ``mp3/`` and ``metadata.jsonl``.
        origin: ``"local"``, or repository and revision on the hub.
    """

    folder: Path
    origin: str


def obtain(place: str, revision: str = REVISION) -> Source:
    """A folder as it is, or the published data set, downloaded into the hub's cache if need be.

    A download that breaks off is taken up again by the next call.

    Args:
        place: A folder, or ``"hub"``.
        revision: Of the published data set.

    Raises:
        DataUnavailableError: If the hub has to be asked and does not deliver.
    """
    if place != HUB:
        return Source(Path(place).expanduser(), "local")
    import huggingface_hub

    try:
        folder = huggingface_hub.snapshot_download(
            REPO,
            repo_type="dataset",
            revision=revision,
            allow_patterns=[METADATA, "mp3/*"],
            endpoint=hub.endpoint(),
            cache_dir=hub.cache_folder(),
            local_files_only=hub.offline(),
        )
    except hub.failures() as error:
        why = "HF_HUB_OFFLINE is set" if hub.offline() else hub.reason(error)
        raise DataUnavailableError(
            f"{REPO} is not on this machine ({SIZE}, licence {LICENCE}) and {why}; run "
            f"`hf download {REPO} --repo-type dataset --local-dir DIR` on a connected machine and "
            "name DIR"
        ) from error
    return Source(Path(folder), f"{REPO}@{revision}")
