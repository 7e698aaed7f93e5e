"""The published data set: a folder on this machine, or a download from the hub."""

from pathlib import Path

from hear_aesthetics.checkpoints import hub
from hear_aesthetics.errors import DataUnavailableError
from songeval_task.data.dataset import METADATA

__all__ = ["HUB", "obtain"]

HUB = "hub"  # what the user writes instead of a folder
REPO = "ASLP-lab/SongEval"
REVISION = "add0f9192de1f6211e0fce65211e54799de9392b"
SIZE, LICENCE = "11.1 GB", "CC BY-NC-SA 4.0"


def obtain(place: str) -> tuple[Path, str]:
    """Return a data set on this machine, downloaded into the hub's cache if need be.

    A download that breaks off is taken up again by the next call.

    Args:
        place: A folder, or ``"hub"``.

    Returns:
        The folder with ``mp3/`` and ``metadata.jsonl``; and ``"local"``, or repository and
        revision on the hub.

    Raises:
        DataUnavailableError: If the hub has to be asked and does not deliver.
    """
    if place != HUB:
        return Path(place).expanduser(), "local"
    import huggingface_hub

    try:
        folder = huggingface_hub.snapshot_download(
            REPO,
            repo_type="dataset",
            revision=REVISION,
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
    return Path(folder), f"{REPO}@{REVISION}"
