"""Audit run: every song as it is and in every variant, one encoder pass each, kept in a journal.

Clips go through the encoders one by one: in a batch the same song may round otherwise, and the
difference of a repeated song has to be exactly nothing, also after an interruption.
"""

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from hear_aesthetics.audio.loading import convert
from hear_aesthetics.audio.waveforms import WaveformFormat, Waveforms
from hear_aesthetics.corpus.stored import AnyPath
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.errors import AudioError, HearAestheticsError
from hear_aesthetics.spec import MAX_MINUTES, SAMPLE_RATE
from songeval_task.audit.samples import Audio, decode, loudness_of
from songeval_task.audit.variants import ORIGINAL, VERSION, Variant
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
        scorer: Model and heads.
        songs: Files or spans of them.
        variants: Variants besides the song as it is; none may miss its extra.
        journal: Takes each new row before it is yielded; its rows are not computed again.
        seconds: Length of each song's beginning that is scored; None: all of it.
        max_minutes: Longest song; a longer one is an error.
    """
    scorer_set = scorer.scorer_set
    min_seconds = scorer_set.min_samples / SAMPLE_RATE
    load = _decoder(min_seconds, seconds, max_minutes)
    keys = [clip_key(song) for song in songs]  # as the files are before the run
    plan = [
        _Clip(song, variant, (*key, variant.name), load, scorer_set.formats, min_seconds)
        for song, key in zip(songs, keys, strict=True)
        for variant in (ORIGINAL, *variants)
    ]
    todo = (clip for clip in plan if clip.key not in journal.done)

    def compute(_: Any, waveforms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return scorer_set.compute(scorer.features(waveforms))

    rate = scorer_set.formats[0].rate
    one_by_one = 1 / rate  # seconds of a batch that never holds two clips
    results = run(
        todo, scorer, compute, sample_rate=rate, load=_Clip.load, batch_seconds=one_by_one
    )
    failed: Key | None = None  # the song that could not be read
    for clip in plan:
        row = journal.done.get(clip.key)
        if row is None:
            result = next(results)
            if clip.key[:-1] == failed:
                continue
            row = _row(result, scorer_set)
            journal.add(clip.key, row)
        if row["status"] == ERROR and clip.variant is ORIGINAL:
            failed = clip.key[:-1]
        yield SongVariant(clip.song, clip.variant, row)


def pooled_vectors(rows: Sequence[ScoreRow], head: str) -> np.ndarray:
    """Return what a head pooled of the songs as they are, ``(songs, width)`` float32."""
    data = [base64.b64decode(row["pooled"][head]) for row in rows]
    return np.stack([np.frombuffer(vector, dtype="<f4") for vector in data])


@dataclass(eq=False)
class _Clip:
    """A song in one variant, on its way through the engine; its loudness is measured on it."""

    song: Input
    variant: Variant
    key: Key
    decode: Callable[[Input], Audio | HearAestheticsError]
    formats: Sequence[WaveformFormat]
    min_seconds: float
    loudness_lufs: float | None = None

    @property
    def path(self) -> AnyPath:
        """File, for messages."""
        return self.song.path

    def load(self) -> Waveforms:
        """Return the waveforms of the variant."""
        original = self.decode(self.song)
        if isinstance(original, HearAestheticsError):
            raise original
        try:
            audio = self.variant.apply(original)
            have = len(audio.samples) / audio.sample_rate
            if have < self.min_seconds:
                need = f"{self.min_seconds:.3f} s"
                raise AudioError(f"leaves {have:.2f} s, a score needs at least {need}")
            self.loudness_lufs = loudness_of(audio)
            return convert(*audio, self.formats)
        except AudioError as error:
            raise AudioError(f"{self.path}: {self.variant.name}: {error}") from error


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


def _row(result: Result[_Clip], scorer_set: ScorerSet) -> ScoreRow:
    clip = result.item
    song = clip.song
    row: ScoreRow = {"path": str(song.path), "start": song.start, "end": song.end}
    known = {**row, "variant": clip.variant.name, "duration": result.seconds or None}
    error = result.error
    if error is None:
        try:
            values = scorer_set.values(result.output, {**row, "prompt": song.prompt})
            scores = {**values, **scorer_set.mean_values(values)}
            made = {**known, "loudness_lufs": clip.loudness_lufs, **scores}
            if clip.variant is ORIGINAL:
                made["pooled"] = {
                    name: _encoded(result.output[f"pooled {name}"]) for name in scorer_set.heads
                }
            return {**made, "status": OK, "error": None}
        except HearAestheticsError as failure:
            error = failure
    return {**known, "status": ERROR, "error": " ".join(str(error).split())}


def _encoded(vector: Tensor) -> str:
    return base64.b64encode(vector.float().numpy().astype("<f4").tobytes()).decode()
