"""``hear-aesthetics doctor``: versions, devices, precision and weights of this machine.

Nothing is downloaded or hashed, and nothing that is missing or broken makes it fail.
"""

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

from hear_aesthetics.checkpoints import CHECKPOINTS, cache_home, home, hub, whereabouts
from hear_aesthetics.commands.console import requirements, write_json
from hear_aesthetics.commands.options import JsonOption
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.files import describe_size
from hear_aesthetics.version import __version__

__all__ = ["EXTRAS", "diagnose", "doctor"]

EXTRAS = {  # name -> what only works with it
    "train": "training, augmentation and pretraining",
    "corpus": "Parquet files and folders, object stores",
    "s3": "s3:// addresses",
    "ray": "--ray of embed, score, audit and songeval features",
    "teachers": "pretrain --objective distil, but for pools that hold the embeddings",
    "text": "text alignment of MusicEval",
    "audiobox": "--head audiobox",
    "av": "m4a, aac, webm and video files",
    "boost": "musiceval ensemble --regressor lightgbm",
    "mteb": "the tasks of MTEB and MAEB, SongEval among them",
    "web": "serve, score --server",
}

USE = {True: "allowed", False: "not_allowed", None: "not_stated"}


def doctor(as_json: JsonOption = False) -> None:
    """Show versions, devices, the precision of `auto`, weights, caches and licences."""
    report = diagnose()
    if as_json:
        write_json(report)
        return
    for section, facts in report.items():
        typer.echo(section)
        for name, fact in facts.items():
            typer.echo(f"  {name:<22}{_text(fact)}")


def diagnose() -> dict[str, dict[str, Any]]:
    """Return all that the command shows: section -> name -> JSON value, None if absent."""
    return {
        "versions": _versions(),
        "extras": _extras(),
        "devices": _devices(),
        "precision": _precision(),
        "weights": {name: asdict(whereabouts(record)) for name, record in CHECKPOINTS.items()},
        "commercial_use": {
            label: [name for name, record in CHECKPOINTS.items() if record.commercial is allowed]
            for allowed, label in USE.items()
        },
        "folders": {
            "hub_cache": str(hub.cache_folder()),
            "own_cache": str(cache_home()),
            "hear_aesthetics_home": str(home()) if home() else None,
        },
        "network": {"hub": hub.endpoint(), "offline": hub.offline()},
    }


def _versions() -> dict[str, str]:
    versions = {"hear-aesthetics": __version__, "python": platform.python_version()}
    for name, extras in _bringers().items():
        brought = f": extra {' or '.join(extras)}" if extras else ""
        versions[name] = _version(name) or f"not installed{brought}"
    versions["libsndfile"] = _libsndfile()
    return versions


def _extras() -> dict[str, str]:
    """Return what works with each extra, and the packages that it lacks."""
    facts = {}
    for extra, use in EXTRAS.items():
        packages = [name for name, extras in _bringers().items() if extra in extras]
        lacking = [name for name in packages if _version(name) is None]
        state = f"lacks {', '.join(lacking)}" if lacking else "installed"
        facts[extra] = f"{state}; for {use}"
    return facts


def _bringers() -> dict[str, list[str]]:
    """Return package -> extras that bring it, in the order of ``EXTRAS``; none: always there."""
    found: dict[str, list[str]] = {}
    for name, _, extra in requirements():
        found.setdefault(name, []).extend([extra] if extra else [])
    return {name: [e for e in EXTRAS if e in extras] for name, extras in found.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _libsndfile() -> str:
    """Return the version of the library that decodes: MP3 needs 1.1 or newer."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, its library is not
        return f"cannot be loaded: {error}"
    return str(soundfile.__libsndfile_version__)


def _devices() -> dict[str, Any]:
    import torch

    from hear_aesthetics.compute.cpu import cpu_has_bfloat16, model_name

    devices: dict[str, Any] = {
        "cpu": model_name(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "native_bfloat16": cpu_has_bfloat16(),
    }
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        devices[f"cuda:{index}"] = f"{card.name}, {describe_size(card.total_memory)}"
    if not torch.cuda.is_available():
        devices["cuda"] = None
    return devices


def _precision() -> dict[str, str]:
    import torch

    from hear_aesthetics.compute.precision import auto_precision

    kinds = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    chosen = {kind: str(auto_precision(kind)).removeprefix("torch.") for kind in kinds}
    return {**chosen, "default_device": kinds[-1]}


def _text(fact: Any) -> str:
    """Return a fact as a person reads it."""
    if isinstance(fact, dict):  # the whereabouts of a checkpoint
        here = f"{fact['origin']}: {', '.join(fact['folders'])}"
        return fact["problem"] or (here if fact["origin"] else "not on this machine")
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, list):
        return ", ".join(fact) or "-"
    return "-" if fact is None else str(fact)
