"""Audit run: every song as it is and in every variant, one encoder pass each, kept in a journal.

Clips go through the encoders one by one: in a batch the same song may round otherwise, and the
difference of a repeated song has to be exactly nothing, also after an interruption.
"""

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from hear_aesthetics.audio.loading import convert
from hear_aesthetics.audio.waveforms import WaveformFormat, Waveforms
from hear_aesthetics.corpus.stored import AnyPath
from hear_aesthetics.distributed.pipeline import in_order, run_on_ray
from hear_aesthetics.distributed.work import Compute, LoadedItem
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.errors import AudioError, HearAestheticsError
from hear_aesthetics.spec import MAX_MINUTES, SAMPLE_RATE
from songeval_task.audit.samples import Audio, decode, loudness_of
from songeval_task.audit.variants import ORIGINAL, VERSION, Variant
from songeval_task.distributed import RayScorer, ScorerRecipe
from songeval_task.scoring.outputs.journal import Journal, Key, clip_key
from songeval_task.scoring.rows import ERROR, OK, ScoreRow
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.scoring.scorer_set import ScorerSet

__all__ = ["SongVariant", "audit_songs", "fingerprint", "pooled_vectors"]


@dataclass(frozen=True)
class SongVariant:
    """A row of an audit: a song in one variant, with its scores or an error.

    Attributes:
        song: The song's input.
        variant: What was done to it.
        row: ``variant``, ``path``, ``duration``, ``loudness_lufs``, scores, ``status``, ``error``.
    """

    song: Input
    variant: Variant
    row: ScoreRow


def fingerprint(scorer: AestheticScorer, seconds: float | None) -> dict[str, Any]:
    """Return what decides the rows of an audit besides files and names of variants.

    Calibrations and warnings of faults are no part of the rows.
    """
    made = scorer.fingerprint()
    heads = {name: made["heads"][name] for name in scorer.scorer_set.scorers}
    del made["faults"]
    return {**made, "heads": heads, "variants": VERSION, "seconds": seconds}


def audit_songs(
    scorer: AestheticScorer,
    songs: Sequence[Input],
    variants: Sequence[Variant],
    journal: Journal,
    *,
    seconds: float | None = None,
    max_minutes: float = MAX_MINUTES,
) -> Iterator[SongVariant]:
    """Yield a row per song and variant, song by song, the song as it is first.

    Of a song that cannot be read, that row is the only one, and holds the error.

    Args:
        scorer: Model and heads, here or on a cluster.
        songs: Files or spans of them.
        variants: Variants besides the song as it is; none may miss its extra.
        journal: Takes each new row before it is yielded; its rows are not computed again.
        seconds: Length of each song's beginning that is scored; None: all of it.
        max_minutes: Longest song; a longer one is an error.
    """
    keys = [clip_key(song) for song in songs]  # as the files are before the run
    plan = [
        _Clip(replace(song, fields={}), variant, (*key, variant.name))
        for song, key in zip(songs, keys, strict=True)
        for variant in (ORIGINAL, *variants)
    ]
    todo = (clip for clip in plan if clip.key not in journal.done)
    loader = _Loader.of(scorer.scorer_set, seconds, max_minutes)
    if isinstance(scorer, RayScorer):
        rows = _rows_on(scorer, list(todo), loader)
    else:
        rows = _rows(scorer, todo, loader.load)
    failed: Key | None = None  # the song that could not be read
    for clip in plan:
        row = journal.done.get(clip.key)
        if row is None:
            row = next(rows)
            if clip.key[:-1] == failed:
                continue
            journal.add(clip.key, row)
        if row["status"] == ERROR and clip.variant is ORIGINAL:
            failed = clip.key[:-1]
        yield SongVariant(clip.song, clip.variant, row)


def pooled_vectors(rows: Sequence[ScoreRow], head: str) -> np.ndarray:
    """Return what a head pooled of the songs as they are, ``(songs, width)`` float32."""
    data = [base64.b64decode(row["pooled"][head]) for row in rows]
    return np.stack([np.frombuffer(vector, dtype="<f4") for vector in data])


@dataclass(frozen=True)
class _Clip:
    """A song in one variant."""

    song: Input
    variant: Variant
    key: Key

    @property
    def path(self) -> AnyPath:
        """File, for messages."""
        return self.song.path


@dataclass(eq=False)
class _HeardClip:
    """A clip on its way through the engine; its loudness is measured on it."""

    clip: _Clip
    take: Callable[[], "_Heard"]
    loudness_lufs: float | None = None

    @property
    def path(self) -> AnyPath:
        """File, for messages."""
        return self.clip.path

    def load(self) -> Waveforms:
        """Return the waveforms of the variant."""
        waveforms, self.loudness_lufs = self.take()
        return waveforms


class _Heard(NamedTuple):
    waveforms: Waveforms
    loudness_lufs: float | None


@dataclass(frozen=True)
class _Loader:
    """What is loaded of clips; one song after another is decoded once for all its variants."""

    formats: tuple[WaveformFormat, ...]
    min_seconds: float
    seconds: float | None
    max_minutes: float

    @classmethod
    def of(cls, scorer_set: ScorerSet, seconds: float | None, max_minutes: float) -> "_Loader":
        needed = scorer_set.min_samples / SAMPLE_RATE
        return cls(tuple(scorer_set.formats), needed, seconds, max_minutes)

    @cached_property
    def decode(self) -> Callable[[Input], Audio | HearAestheticsError]:
        """Decoder, which remembers the last song."""
        return _decoder(self.min_seconds, self.seconds, self.max_minutes)

    def load(self, clip: _Clip) -> _Heard:
        """Return the audio of a clip.

        Raises:
            AudioError: If it cannot be read, or the variant leaves too little of it.
        """
        original = self.decode(clip.song)
        if isinstance(original, HearAestheticsError):
            raise original
        try:
            audio = clip.variant.apply(original)
            have = len(audio.samples) / audio.sample_rate
            if have < self.min_seconds:
                need = f"{self.min_seconds:.3f} s"
                raise AudioError(f"leaves {have:.2f} s, a score needs at least {need}")
            return _Heard(convert(*audio, self.formats), loudness_of(audio))
        except AudioError as error:
            raise AudioError(f"{clip.path}: {clip.variant.name}: {error}") from error


def _rows(
    scorer: AestheticScorer, clips: Iterable[_Clip], load: Callable[[_Clip], _Heard]
) -> Iterator[ScoreRow]:
    """Yield the rows of clips in order."""
    scorer_set = scorer.scorer_set

    def compute(_: Any, waveforms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return scorer_set.compute(scorer.features(waveforms))

    heard = (_HeardClip(clip, partial(load, clip)) for clip in clips)
    rate = scorer_set.formats[0].rate
    one_by_one = 1 / rate  # seconds of a batch that never holds two clips
    for result in run(
        *(heard, scorer, compute),
        sample_rate=rate,
        load=_HeardClip.load,
        batch_seconds=one_by_one,
    ):
        yield _row(result, scorer_set)


def _rows_on(scorer: RayScorer, clips: Sequence[_Clip], loader: _Loader) -> Iterator[ScoreRow]:
    """Yield the rows of clips in order, computed on a cluster."""
    work = _AuditWork(scorer.recipe, scorer.fingerprint(), loader)
    for result in in_order(run_on_ray(scorer.cluster, clips, work)):
        yield _error_row(result) if result.error else result.output


@dataclass(frozen=True)
class _AuditWork:
    """Rows of an audit; a :class:`hear_aesthetics.distributed.work.Work`."""

    recipe: ScorerRecipe
    fingerprint: dict[str, Any]  # that the scorer must have everywhere
    loader: _Loader

    @property
    def load(self) -> Callable[[_Clip], _Heard]:
        """What loads the audio of a clip."""
        return self.loader.load

    def open(self, device: str) -> Compute:
        """Load the scorer."""
        return partial(self._compute, self.recipe.load_checked(device, self.fingerprint))

    def _compute(
        self, scorer: AestheticScorer, items: Sequence[LoadedItem]
    ) -> Iterator[Result[Any]]:
        loaded = {item.item.key: item for item in items}
        rows = _rows(scorer, [item.item for item in items], lambda clip: loaded[clip.key].take())
        for item, row in zip(items, rows, strict=True):
            yield Result(item.item, row["duration"] or 0.0, row)


def _decoder(
    min_seconds: float, seconds: float | None, max_minutes: float
) -> Callable[[Input], Audio | HearAestheticsError]:
    """Return what decodes songs, and remembers the last one or what was wrong with it."""

    @lru_cache(maxsize=1)
    def decoded(song: Input) -> Audio | HearAestheticsError:
        end = math.inf if song.end is None else song.end
        end = min(end, (song.start or 0.0) + (seconds or math.inf))
        span = {"start": song.start, "end": None if end == math.inf else end}
        try:
            return decode(song.path, **span, min_seconds=min_seconds, max_minutes=max_minutes)
        except HearAestheticsError as error:
            return error

    return decoded


def _row(result: Result[_HeardClip], scorer_set: ScorerSet) -> ScoreRow:
    clip = result.item.clip
    error = result.error
    if error is None:
        try:
            song = clip.song
            row: ScoreRow = {"path": str(song.path), "start": song.start, "end": song.end}
            values = scorer_set.values(result.output, {**row, "prompt": song.prompt})
            scores = {**values, **scorer_set.mean_values(values)}
            loudness = {"loudness_lufs": result.item.loudness_lufs}
            made = {**_known(clip, result.seconds), **loudness, **scores}
            if clip.variant == ORIGINAL:
                made["pooled"] = {
                    name: _encoded(result.output[f"pooled {name}"]) for name in scorer_set.heads
                }
            return {**made, "status": OK, "error": None}
        except HearAestheticsError as failure:
            error = failure
    return _error_row(Result(clip, result.seconds, error=error))


def _error_row(result: Result[_Clip]) -> ScoreRow:
    text = " ".join(str(result.error).split())
    return {**_known(result.item, result.seconds), "status": ERROR, "error": text}


def _known(clip: _Clip, seconds: float) -> ScoreRow:
    span = {"path": str(clip.path), "start": clip.song.start, "end": clip.song.end}
    return {**span, "variant": clip.variant.name, "duration": seconds or None}


def _encoded(vector: Tensor) -> str:
    return base64.b64encode(vector.float().numpy().astype("<f4").tobytes()).decode()
