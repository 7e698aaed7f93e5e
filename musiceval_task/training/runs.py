"""Run folders of trained members.

``config.json model.safetensors README.md`` are the head with its provenance (member, seed, data,
both encoders), ``predictions.parquet`` its predictions for every split, ``log.csv`` its epochs and
``metrics.json`` its metrics on the dev and test lists, written last: a run that has it is complete.
``run.json`` is the fingerprint of the run.

The recipe "published" keeps three checkpoints. The folder itself is that of the best combined
score; ``loss/`` and ``system-srcc/`` in it are folders of the same kind for the two others, but for
``log.csv`` and ``run.json``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from heads import DualBranchHead
from heads.checkpoint import WEIGHTS_FILE
from hear_aesthetics.compute.precision import usable_device
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.files import json_text, remove_leftovers, write_text
from hear_aesthetics.fingerprint import is_finished, start_over
from musiceval_task.data.dataset import MusicEvalClip, list_hash
from musiceval_task.features.states import (
    AudioEncoder,
    StateStore,
    audio_hash,
    clip_states,
    prompt_states,
)
from musiceval_task.features.text import TextEncoder
from musiceval_task.predictions import (
    FILE_NAME,
    ClipPredictions,
    read_predictions,
    write_predictions,
)
from musiceval_task.protocol import as_table, compute_metrics
from musiceval_task.training.inference import Example, is_released, predict_clips
from musiceval_task.training.loop import Epoch, Fit, TrainingConfig
from musiceval_task.training.members import EnsembleMember
from musiceval_task.training.recipes import divide, fit_by_recipe
from musiceval_task.training.released import REPORTED, ReleasedEpoch

__all__ = ["Encoders", "check_encoders", "encode", "load_run", "train_run"]

LISTS = ("dev", "test")  # whose metrics are reported
METRICS, RECORD = "metrics.json", "run.json"
FORMER_KEYS = {"recipe": "protocol"}  # names in the record of a run, the same in all versions
LICENCE = "other"
ALONE = Processes()
CHECKED = {"weights_sha256": "--model", "reads": "--model", "text_sha256": "--text"}
KNOWN = (*CHECKED, "model", "text_encoder")  # what provenance says of the encoders


@dataclass(frozen=True)
class Encoders:
    """Both frozen encoders, and the store of their states.

    Raises:
        InputError: If one of them prepares its input as released, and the other does not.
    """

    audio: AudioEncoder
    text: TextEncoder
    store: StateStore

    def __post_init__(self) -> None:
        if self.audio.released != self.text.padding:
            raise InputError("one encoder prepares its input as released: take released=True twice")

    @classmethod
    def load(
        cls,
        model: str,
        text: str,
        states: Path,
        *,
        precision: str,
        device: str | None,
        released: bool = False,
    ) -> "Encoders":
        """Load the encoders, and open the store in the folder of the states.

        ``released`` prepares clips and prompts as the recipe "published" does.
        """
        audio = AudioEncoder(model, precision=precision, device=device, released=released)
        remove_leftovers(states)
        text_encoder = TextEncoder(text, audio.model.device, padding=released)
        return cls(audio, text_encoder, StateStore(states))

    @property
    def released(self) -> bool:
        """True if clips and prompts are prepared as the recipe "published" does."""
        return self.audio.released

    def provenance(self) -> dict[str, Any]:
        """Return where the states come from."""
        return {**self.audio.provenance(), **self.text.provenance()}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the states."""
        return {"audio": self.audio.fingerprint(), "text": self.text.fingerprint()}


def encode(
    clips: Sequence[MusicEvalClip],
    encoders: Encoders,
    advance: Callable[[], None] | None = None,
    processes: Processes = ALONE,
) -> list[Example]:
    """Return the states of clips and prompts; only those that the store lacks are computed.

    Processes share the clips to encode, and then read what all of them have stored.

    Raises:
        AudioError: If a clip cannot be read.
    """
    if processes.count > 1:
        clip_states(processes.share(clips), encoders.audio, encoders.store, advance)
        processes.wait()
    audio = clip_states(clips, encoders.audio, encoders.store, advance)
    text = prompt_states([clip.prompt for clip in clips], encoders.text, encoders.store)
    examples = []
    for clip, states in zip(clips, audio, strict=True):
        words, padding = text[clip.prompt], None
        if encoders.released:
            words, padding = words[:-1], words[-1]
        examples.append(Example(states, words, clip.scores, padding))
    return examples


def train_run(
    out: Path,
    member: EnsembleMember,
    config: TrainingConfig,
    clips: Sequence[MusicEvalClip],
    examples: Sequence[Example],
    encoders: Encoders,
    *,
    overwrite: bool = False,
    device: str | None = None,
    on_epoch: Callable[[Epoch | ReleasedEpoch], None] | None = None,
    processes: Processes | None = None,
) -> ClipPredictions:
    """Train a member and write its run folder, or return what a finished one predicts.

    ``examples`` are those of :func:`encode` for the clips of all splits. ``overwrite`` deletes a
    run that the folder holds, this one or another. Of ``processes`` the main one writes.

    Raises:
        InputError: As :func:`musiceval_task.training.recipes.divide`, or if the encoders prepare
            their input for another recipe, or the folder holds another run.
    """
    released = config.recipe == "published"
    if encoders.released != released:
        raise InputError(f"recipe {config.recipe}: load the encoders with released={released}")
    divided = divide(clips, config)
    made = {
        "clips": {"sha256": list_hash(clips), "audio_sha256": audio_hash(clips)},
        "encoders": encoders.fingerprint(),
        "member": asdict(member),
        "training": {FORMER_KEYS.get(key, key): value for key, value in config.settings().items()},
    }
    processes = processes or Processes(device=usable_device(device))
    if processes.is_main:
        if overwrite:
            (out / METRICS).unlink(missing_ok=True)
            start_over(out / RECORD)
        remove_leftovers(out)
        is_finished(out / METRICS, out / RECORD, made, encoders.provenance())
    processes.wait()
    if (out / METRICS).is_file():
        return read_predictions(out)
    fits = fit_by_recipe(member, config, divided, examples, on_epoch=on_epoch, processes=processes)
    if processes.is_main:
        known = {"data_sha256": list_hash(clips), "license": LICENCE, **encoders.provenance()}
        known |= {"member": asdict(member), "training": config.settings()}
        _write_fits(out, fits, known, divided, examples)
    processes.wait()
    return read_predictions(out)


def _write_fits(
    out: Path,
    fits: Mapping[str, Fit],
    known: Mapping[str, Any],
    divided: Sequence[MusicEvalClip],
    examples: Sequence[Example],
) -> None:
    """Write the folders of a run, that of the run itself last: its metrics say it is finished."""
    log = pd.DataFrame(map(asdict, next(iter(fits.values())).log))
    write_text(out / "log.csv", log.to_csv(index=False, float_format="%.6g"))
    for name, result in fits.items():
        folder = out / name
        predictions = predict_clips(result.head, divided, examples)
        record = {**known, "best": asdict(result.best)}
        if is_released(result.head):
            record |= {"selected_by": name or REPORTED, "selected_on": "dev"}
        result.head.save_pretrained(folder, record)
        write_predictions(folder / FILE_NAME, predictions)
        write_metrics(folder, predictions)


def write_metrics(out: Path, predictions: ClipPredictions) -> None:
    """Write ``metrics.json``: the metrics on the dev and test lists, where scores are known."""
    parts = {split: predictions.of_split(split).scored() for split in LISTS}
    figures = {
        name: as_table(compute_metrics(part)) for name, part in parts.items() if len(part) > 1
    }
    write_text(out / METRICS, json_text(figures))


def load_run(folder: str | Path) -> DualBranchHead:
    """Load the head of a run folder, with its provenance.

    Raises:
        CheckpointError: If the folder holds no head of this task.
    """
    path = Path(folder)
    path = path / WEIGHTS_FILE if path.is_dir() else path
    try:
        head = DualBranchHead.from_pretrained(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    lacking = [key for key in KNOWN if key not in head.provenance]
    if lacking:
        raise CheckpointError(f"{path}: its provenance lacks {lacking[0]}; train it again")
    return head


def check_encoders(head: DualBranchHead, encoders: Encoders) -> None:
    """Check that states come from the encoders that a head was trained with.

    Raises:
        InputError: If they do not; says which differs.
    """
    if encoders.released != is_released(head):
        raise InputError(
            f"the run was trained by another recipe; load the encoders with "
            f"released={is_released(head)}"
        )
    made = encoders.provenance()
    for key, option in CHECKED.items():
        if head.provenance[key] != made[key]:
            raise InputError(
                f"{option}: not the encoder that the run was trained with ({key} differs); it was "
                f"{head.provenance['model']} with {head.provenance['text_encoder']}"
            )
