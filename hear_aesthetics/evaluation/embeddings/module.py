"""HEAR modules by import name, every answer checked against the API's contract.

An answer that breaks it is one :class:`~hear_aesthetics.errors.ModuleError`, which names the
function and what was expected.
"""

import importlib
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hear_aesthetics.checkpoints import weight_hash
from hear_aesthetics.compute.precision import usable_device
from hear_aesthetics.errors import HearAestheticsError, InputError, ModuleError
from hear_aesthetics.evaluation.embeddings.api_checks import ApiChecker

__all__ = ["SAMPLE_RATES", "HearModule", "parse_options"]

SAMPLE_RATES = (16_000, 22_050, 32_000, 44_100, 48_000)  # Hz, what HEAR's audio comes in


def parse_options(text: str) -> dict[str, Any]:
    """Read keyword arguments for ``load_model`` from JSON.

    Raises:
        InputError: If the text is not a JSON object.
    """
    try:
        options = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise InputError(f"--model-options is not JSON ({e}): {text!r}") from e
    if not isinstance(options, dict):
        raise InputError(f"--model-options is {text!r}; expected an object such as '{{}}'")
    return options


class HearModule:
    """A loaded model of a HEAR module, by its import name.

    ``model`` is the first argument of ``load_model``, such as a weights file; None calls it
    without. ``options`` are its keyword arguments. ``device`` None is a GPU if there is one.

    Raises:
        ModuleError: If the module cannot be imported, fails, or breaks the contract; this holds
            for the methods too.
    """

    def __init__(
        self,
        name: str,
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        device: str | None = None,
    ) -> None:
        self._import_name = name
        self._options = dict(options or {})
        self._model_path = model
        try:
            with _as_guest():
                self._module = importlib.import_module(name)
        except ImportError as e:
            raise ModuleError(f"cannot import {name} ({e}); install it or set PYTHONPATH") from e
        except Exception as e:  # anything may go wrong in code that is not ours
            raise ModuleError(f"importing {name} failed: {type(e).__name__}: {e}") from e
        for function in ("load_model", "get_scene_embeddings", "get_timestamp_embeddings"):
            if not callable(getattr(self._module, function, None)):
                raise ModuleError(
                    f"{name} has no function {function}, which HEAR modules must have"
                )
        loaded = self._load()
        if not isinstance(loaded, nn.Module):
            kind = type(loaded).__name__
            raise ModuleError(f"{name}.load_model returned a {kind}; expected a torch.nn.Module")
        self._device = usable_device(device)
        self._model = loaded.to(self._device).eval()
        self.sample_rate = self._attribute("sample_rate")
        if self.sample_rate not in SAMPLE_RATES:
            raise ModuleError(
                f"{name}: sample_rate is {self.sample_rate}; HEAR's audio comes in "
                + ", ".join(map(str, SAMPLE_RATES))
            )
        self._sizes = {
            kind: self._attribute(f"{kind}_embedding_size") for kind in ("scene", "timestamp")
        }

    @property
    def folder_name(self) -> str:
        """Name of the folder of its embeddings: heareval's, and the model if one is given."""
        chosen = {} if self._model_path is None else {"model": self._model_path}
        parts = [f"{_slug(k)}={_slug(str(v))}" for k, v in (chosen | self._options).items()]
        return "-".join([self._module.__name__, *parts])

    def fingerprint(self, kind: str) -> dict[str, Any]:
        """Return what decides the embeddings of a kind, ``"scene"`` or ``"timestamps"``.

        A model with a method ``fingerprint`` says so itself; of others the weight files, the
        options and the module's version count.
        """
        known = {key: self.provenance[key] for key in ("module", "sample_rate", "sizes")}
        own = getattr(self._model, "fingerprint", None)
        if callable(own):
            return {**known, "model": _as_json(own(kind))}
        path = Path(self._model_path or "")
        files = sorted(path.rglob("*")) if path.is_dir() and self._model_path else [path]
        weights = {
            str(file.relative_to(path)): weight_hash(file) for file in files if file.is_file()
        }
        told = {key: self.provenance[key] for key in ("options", "version")}
        return {**known, "model": weights or self._model_path, **told}

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Arguments of ``load_model``, version, rate, sizes, and the model's own provenance."""
        provenance = getattr(self._model, "provenance", None)
        return {
            "module": self._module.__name__,
            "version": getattr(self._module, "__version__", None),
            "model": self._model_path,
            "options": self._options,
            "sample_rate": self.sample_rate,
            "sizes": self._sizes,
            "provenance": _as_json(provenance()) if callable(provenance) else None,
        }

    def scenes(self, audio: NDArray[np.float32], files: Sequence[str]) -> NDArray[np.float32]:
        """Return one embedding per sound.

        Shape:
            - audio: ``(B, samples)``; output: ``(B, scene_embedding_size)``
        """
        answer, checker = self._call("get_scene_embeddings", audio, files)
        return checker.embeddings(answer, self._sizes["scene"], over_time=False)

    def timestamps(
        self, audio: NDArray[np.float32], files: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
        """Return embeddings over time of each sound, and their times in milliseconds.

        Shape:
            - audio: ``(B, samples)``
            - embeddings: ``(B, frames, timestamp_embedding_size)``; times: ``(B, frames)``
        """
        answer, checker = self._call("get_timestamp_embeddings", audio, files)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise checker.error("must return a pair of embeddings and timestamps")
        values = checker.embeddings(answer[0], self._sizes["timestamp"], over_time=True)
        duration = 1000 * audio.shape[1] / self.sample_rate
        return values, checker.times(answer[1], values.shape[1], duration)

    def _load(self) -> Any:
        arguments = () if self._model_path is None else (self._model_path,)
        try:
            with _as_guest():
                return self._module.load_model(*arguments, **self._options)
        except HearAestheticsError:
            raise  # already says what to do
        except (TypeError, ValueError) as e:
            given = f"model {self._model_path!r}, options {json.dumps(self._options, default=str)}"
            raise InputError(f"{self._import_name}.load_model refused {given}: {e}") from e
        except Exception as e:
            reason = f"{type(e).__name__}: {e}"
            raise ModuleError(f"{self._import_name}.load_model failed: {reason}") from e

    def _attribute(self, attribute: str) -> int:
        value = getattr(self._model, attribute, None)
        if not isinstance(value, int):
            raise ModuleError(
                f"{self._import_name}: model attribute {attribute} is {value!r} "
                f"({type(value).__name__}); expected a Python int"
            )
        return value

    def _call(
        self, function: str, audio: NDArray[np.float32], files: Sequence[str]
    ) -> tuple[Any, ApiChecker]:
        checker = ApiChecker(f"{self._import_name}.{function}", files)
        try:
            with torch.no_grad(), _as_guest():
                sounds = torch.from_numpy(audio).to(self._device)
                return getattr(self._module, function)(sounds, self._model), checker
        except Exception as e:  # anything may go wrong in code that is not ours
            reason = f"{type(e).__name__}: {e}"
            raise checker.error(f"failed on {checker.batch}: {reason}") from e


@contextmanager
def _as_guest() -> Iterator[None]:
    """Run code that is not ours: its output, default type, working directory and end are its own.

    Raises:
        RuntimeError: If it would end the program.
    """
    dtype, place = torch.get_default_dtype(), Path.cwd()
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as e:
        raise RuntimeError(f"it called sys.exit({e.code!r})") from e
    finally:
        torch.set_default_dtype(dtype)
        os.chdir(place)


def _as_json(value: Any) -> Any:
    """Return a value as it is read back from JSON."""
    return json.loads(json.dumps(value, default=str))


def _slug(text: str) -> str:
    """Return the text as python-slugify, which heareval uses, gives it: ``sample-rate``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"(?<=\d),(?=\d)", "", plain)
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
