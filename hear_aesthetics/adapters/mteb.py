"""Adapter to mteb: a model's scene embeddings as an encoder for MTEB and MAEB.

    python -m hear_aesthetics.adapters.mteb --model large --tasks GTZANGenre BeijingOpera

or, in Python, ``mteb.evaluate(model_meta("large"), mteb.get_tasks(["GTZANGenre"]))``.

Clips come from the data set as encoded bytes and go the way of ``hear-aesthetics embed``: our
decoder and resampler, batches of clips of equal length, nothing padded. An embedding is the one
that the clip gives alone, and neither torchcodec, FFmpeg nor torchaudio is needed.

Interface: ``mteb.models.abs_encoder.AbsEncoder`` and ``mteb.models.ModelMeta`` of mteb 2.26.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from hear_aesthetics.audio.loading import load_audio, mix, resample
from hear_aesthetics.checkpoints import by_name, weight_hash
from hear_aesthetics.checkpoints.sources import BUNDLED
from hear_aesthetics.engine import inference
from hear_aesthetics.errors import AudioError, HearAestheticsError, InputError
from hear_aesthetics.fingerprint import digest
from hear_aesthetics.model import HearModel, get_scene_embeddings, load_model
from hear_aesthetics.spec import API_SAMPLE_RATE

if TYPE_CHECKING:
    from mteb.models import ModelMeta

__all__ = ["embed_clips", "load_encoder", "model_meta", "require_mteb"]

BENCHMARK = "MAEB(v1, audio-only)"
ORGANISATION = "hear-aesthetics"
# Parameters of all layers; embeddings take fewer. Bytes are those of the weight files.
_FACTS: dict[str, dict[str, Any]] = {
    "mini-0.1": {
        "n_parameters": 2_357_504,
        "memory_usage_mb": 9,
        "embed_dim": 1024,
        "license": "apache-2.0",
        "public_training_data": True,  # rendered by this package
    },
    "mini-0.2": {
        "n_parameters": 5_604_672,
        "memory_usage_mb": 11,
        "embed_dim": 2560,
        "license": "apache-2.0",
        "public_training_data": True,
    },
    "large": {
        "n_parameters": 662_333_952,
        "memory_usage_mb": 2528,
        "embed_dim": 4096,
        "license": "cc-by-nc-4.0",  # of MuQ; MusicFM states none for its weights
        "public_training_data": False,  # the recordings of the Million Song Dataset
        "reference": "https://huggingface.co/OpenMuQ/MuQ-large-msd-iter",
    },
}
FACTS = {"mini": _FACTS[by_name("mini").newest], **_FACTS}
UNKNOWN = dict.fromkeys(
    ("n_parameters", "memory_usage_mb", "embed_dim", "license", "public_training_data")
)


@dataclass(frozen=True)
class Clip:
    """Audio of one row of a data set.

    Attributes:
        path: What messages call it: task, split and row.
        audio: ``{"bytes", "path"}`` of an encoded file; or a mapping or decoder with ``"array"``,
            ``(samples,)`` or ``(channels, samples)``, and ``"sampling_rate"`` in Hz.
        rate: Rate in Hz that the data set asks for; None is the file's own.
    """

    path: str
    audio: Any
    rate: int | None = None


def model_meta(model: str = "mini") -> "ModelMeta":
    """Return the description of a model by which mteb loads it and files its results.

    The revision changes with the weights, so that results of others are never taken for theirs.
    ``model_meta(...).load_model(layer=5)`` passes options on to
    :func:`hear_aesthetics.model.load_model`; mteb keeps the results of each choice apart.

    Args:
        model: ``"mini"``, ``"large"`` or a model directory.

    Raises:
        InputError: If mteb is missing, or there is no such model.
    """
    require_mteb()
    from mteb.models import ModelMeta

    name = f"{ORGANISATION}/{model}" if model in FACTS else f"local/{Path(model).resolve().name}"
    return ModelMeta(
        loader=load_encoder,
        loader_kwargs={"model": model},
        name=name,
        revision=_revision(model),
        release_date=None,
        languages=None,
        max_tokens=None,
        open_weights=True if model in FACTS else None,
        public_training_code=None,
        framework=["PyTorch"],
        similarity_fn_name="cosine",
        use_instructions=False,
        training_datasets=set() if model in FACTS else None,
        modalities=["audio"],
        **FACTS.get(model, UNKNOWN),
    )


def load_encoder(
    model_name: str = "",
    revision: str | None = None,
    device: str | None = None,
    *,
    model: str = "mini",
    precision: str = "float32",
    **options: Any,
) -> Any:
    """Return an ``AbsEncoder`` with the model's scene embeddings.

    Args:
        model_name: Its name in mteb, kept for results.
        revision: Its revision in mteb; weights are pinned by the registry.
        device: Device to compute on; by default a GPU if there is one.
        model: ``"mini"``, ``"large"`` or a model directory.
        precision: As of ``load_model``; float32, so that no score depends on the hardware.
        **options: Further options of :func:`hear_aesthetics.model.load_model`.

    Raises:
        InputError: If mteb is missing, or an option has a wrong value.
    """
    encoder_class = _encoder_class()
    loaded = load_model(model, device=device, precision=precision, **options)
    return encoder_class(loaded, model_meta(model))


def embed_clips(model: HearModel, clips: Iterable[Clip]) -> Iterator[np.ndarray]:
    """Yield a scene embedding per clip, in order; the next clips are decoded meanwhile.

    Shape:
        - output: ``(model.scene_embedding_size,)`` float32 each

    Raises:
        AudioError: If a clip cannot be decoded: a benchmark may not leave one out.
    """

    def embed(loaded: HearModel, audio: Tensor) -> Tensor:
        return get_scene_embeddings(audio, loaded)

    for result in inference.run(clips, model, embed, sample_rate=API_SAMPLE_RATE, load=_waveform):
        if result.error:
            raise result.error
        yield result.output.numpy()


@cache
def _encoder_class() -> type:
    """Return the encoder class, whose base needs mteb."""
    require_mteb()
    from mteb.models.abs_encoder import AbsEncoder
    from tqdm.auto import tqdm

    class HearEncoder(AbsEncoder):
        """Scene embeddings of a model, for mteb."""

        def __init__(self, model: HearModel, meta: "ModelMeta") -> None:
            self.model = model
            self.mteb_model_meta = meta

        def encode(
            self,
            inputs: Any,
            *,
            task_metadata: Any,
            hf_split: str,
            hf_subset: str,
            prompt_type: Any = None,
            show_progress_bar: bool = True,
            **kwargs: Any,
        ) -> np.ndarray:
            """Return one embedding per row, ``(rows, scene_embedding_size)`` float32, in order."""
            name = f"{task_metadata.name}, {hf_split} of {hf_subset}"
            clips = tqdm(
                _clips(inputs, name), total=len(inputs.dataset), disable=not show_progress_bar
            )
            return np.stack(list(embed_clips(self.model, clips)))

    return HearEncoder


def _clips(inputs: Any, name: str) -> Iterator[Clip]:
    """Yield the clips of mteb's data loader, not decoded where its data set holds files."""
    from datasets import Audio
    from torch.utils.data import DataLoader

    dataset, rate = inputs.dataset, None
    feature = getattr(dataset, "features", {}).get("audio")
    if isinstance(feature, Audio):
        rate = feature.sampling_rate
        dataset = dataset.cast_column("audio", Audio(sampling_rate=rate, decode=False))
    loader = DataLoader(
        dataset,
        batch_size=inputs.batch_size,
        collate_fn=_audio_of_rows,
        num_workers=inputs.num_workers,
    )
    rows = (audio for batch in loader for audio in batch)
    for number, audio in enumerate(rows):
        yield Clip(f"{name}, row {number}", audio, rate)


def _audio_of_rows(rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Collate rows to their audio, as it is."""
    if "audio" not in rows[0]:
        raise InputError(f"the task has {', '.join(rows[0])}; this model embeds audio only")
    return [row["audio"] for row in rows]


def _waveform(clip: Clip) -> np.ndarray:
    """Return a clip's mono waveform, ``(samples,)`` float32 at 48 kHz."""
    audio = clip.audio
    if isinstance(audio, dict) and "array" not in audio:
        return _decoded(clip, audio.get("bytes"), audio.get("path") or "")
    array = np.asarray(audio["array"], dtype=np.float32)
    mono = mix(np.atleast_2d(array).T)
    if not mono.size or not np.isfinite(mono).all():
        raise AudioError(f"{clip.path}: no samples, or NaN or infinity among them; leave it out")
    return resample(mono, int(audio["sampling_rate"]), API_SAMPLE_RATE)


def _decoded(clip: Clip, content: bytes | None, path: str) -> np.ndarray:
    """Return the waveform of a file, by way of the rate that the data set asks for."""
    rate = clip.rate or API_SAMPLE_RATE
    with TemporaryDirectory(prefix="hear-aesthetics-") as folder:
        file = Path(path)
        if content is None and "://" in path:
            import fsspec

            with fsspec.open(path, "rb") as remote:
                content = remote.read()
        if content is not None:
            file = Path(folder) / f"clip{file.suffix}"
            file.write_bytes(content)
        try:
            waveform = load_audio(file, rate, min_samples=1)
        except AudioError as error:
            raise AudioError(str(error).replace(str(file), f"{clip.path} {path}".strip())) from None
    return resample(waveform, rate, API_SAMPLE_RATE)


def _revision(model: str) -> str:
    """Return what names the weights: pinned revisions, or a digest of the files on disk."""
    if parts := [by_name(part) for part in by_name(model).parts] if model in FACTS else []:
        return "-".join((part.revision or "unknown")[:7] for part in parts)
    folder = BUNDLED / (by_name(model).newest or model) if model in FACTS else Path(model)
    if not folder.is_dir():
        raise InputError(f"{model!r} is neither {' nor '.join(FACTS)} nor a model directory")
    kinds = {".json", ".pt", ".safetensors"}
    files = sorted(path for path in folder.rglob("*") if path.suffix in kinds)
    return digest({str(f.relative_to(folder)): weight_hash(f) for f in files})[:12]


def require_mteb() -> Any:
    """Return the module ``mteb``.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import mteb
    except ImportError as error:
        raise InputError(
            f'mteb cannot be imported ({error}); pip install "hear-aesthetics[mteb]"'
        ) from error
    return mteb


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate a model on mteb's tasks; results go to ``OUT/results/<model>/<revision>/``."""
    parser = argparse.ArgumentParser(
        prog="python -m hear_aesthetics.adapters.mteb", description="Evaluate a model with mteb."
    )
    parser.add_argument("--model", default="mini", help="mini, large or a model directory")
    parser.add_argument("--tasks", nargs="+", help=f"tasks by name; by default {BENCHMARK}")
    parser.add_argument("--out", type=Path, default=Path("mteb"), help="folder of the results")
    parser.add_argument("--device", help="device to compute on; by default a GPU if there is one")
    options = parser.parse_args(arguments)
    try:
        mteb = require_mteb()
        names = options.tasks
        tasks = mteb.get_tasks(tasks=names) if names else mteb.get_benchmark(BENCHMARK).tasks
        encoder = model_meta(options.model).load_model(device=options.device)
        mteb.evaluate(encoder, tasks, cache=mteb.ResultCache(options.out))
    except (InputError, KeyError) as error:  # KeyError: mteb knows no such task
        parser.error(str(error.args[0]))
    except HearAestheticsError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
