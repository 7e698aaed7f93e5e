"""Client of the service: a scorer whose model is in another process, or on another machine."""

import base64
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from os import fspath
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.corpus.stored import AnyPath, StoredFile, as_path
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.scoring.rows import AnySpan, ScoreRow, Scores
from songeval_task.scoring.scorer import FileScorer, check_waveforms, waveform_warnings
from songeval_task.scoring.scorer_set import HIGH, LOW, NOVELTY
from songeval_task.service.connection import PATIENCE, ServiceConnection, ServiceError
from songeval_task.uncertainty.calibration import COVERAGE

__all__ = ["RemoteScorer", "ServiceError"]

Item = TypeVar("Item")
NO_FEATURES = "a server scores audio; score .npy files without a server"


@dataclass(frozen=True)
class RemoteScorerSet:
    """Columns in which a server answers; attributes as those of :class:`ScorerSet`."""

    name: str
    groups: Mapping[str, tuple[str, ...]]
    means: Mapping[str, str]
    columns: tuple[str, ...]
    all_columns: tuple[str, ...]
    interval_columns: tuple[str, ...]
    notes: Mapping[str, str]
    coverage: float
    demo: bool
    gives: frozenset[str]
    heads: Mapping[str, Any]  # these two are empty: they stay with the server
    calibrated: Mapping[str, Any]


class RemoteScorer(FileScorer):
    """Scorer that asks a server; methods as those of :class:`AestheticScorer`.

    Args:
        url: Address of ``hear-aesthetics serve``, such as ``http://127.0.0.1:7860``.
        token: Its token.
        connections: Number of clips that are sent at a time.
        patience: Seconds for one clip, and for a place in the queue of the server.

    Attributes:
        scorer_set: Columns of the server.
        model_name: Name of its model.
        demo: Whether its scores say nothing about the music.
        provenance: Provenance of its model and heads.

    Raises:
        ServiceError: If it cannot be reached, or refuses the token.
    """

    def __init__(
        self, url: str, token: str = "", *, connections: int = 8, patience: float = PATIENCE
    ) -> None:
        self.url, self._at_once = url.rstrip("/"), connections
        self._connection = ServiceConnection(self.url, token, connections, patience)
        about = self._connection.ask("GET", "/v1/models")
        try:
            self.scorer_set = RemoteScorerSet(
                name=about["head"],
                groups={name: tuple(columns) for name, columns in about["heads"].items()},
                means=dict(about["means"]),
                columns=tuple(about["columns"]),
                all_columns=tuple(about["all_columns"]),
                interval_columns=tuple(about["interval_columns"]),
                notes=dict(about["notes"]),
                coverage=about["coverage"],
                demo=about["demo"],
                gives=frozenset(about["gives"]),
                heads={},
                calibrated={},
            )
            self.model_name: str | None = about["model"]
            self.provenance: dict[str, Any] = about["provenance"]
            self._fingerprint: dict[str, Any] = about["fingerprint"]
        except (LookupError, TypeError, AttributeError) as error:
            raise ServiceError(f"{self.url}: is no server of hear-aesthetics ({error})") from error
        self.demo = self.scorer_set.demo

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    @property
    def title(self) -> str:
        """Model and head in words."""
        return f"{self.url} with model {self.model_name} and head {self.scorer_set.name}"

    @property
    def demo_title(self) -> str:
        """The same: a server does not say which of its heads it is whose scores say nothing."""
        return self.title

    @property
    def demo_heads(self) -> list[str]:
        """Names of all heads if the scores of any say nothing."""
        return list(self.scorer_set.groups) if self.demo else []

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the scores, in order."""
        return self.scorer_set.columns

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the scores, as JSON values."""
        return self._fingerprint

    def calibrate(self, files: Iterable[Path], coverage: float = COVERAGE) -> None:
        """Check that no calibration is asked for: those of the server hold.

        Raises:
            InputError: If one is.
        """
        for path in files:
            raise InputError(f"{path}: a server has its own; start it with --calibration {path}")
        if self.scorer_set.interval_columns and coverage != self.scorer_set.coverage:
            own = self.scorer_set.coverage
            raise InputError(f"coverage is {coverage:g}, that of the server {own:g}; ask for that")

    def check_reads(self) -> None:
        """Raise ``InputError``: a server takes no files of features."""
        raise InputError(NO_FEATURES)

    def score_features(self, clips: Iterable[AnySpan], **_: bool) -> Iterator[Result[AnySpan]]:
        """Yield an error for each file of features."""
        for clip in clips:
            yield Result(clip, 0.0, None, InputError(f"{clip.path}: {NO_FEATURES}"))

    def score_files(
        self,
        clips: Iterable[AnySpan],
        *,
        timeline: bool = False,
        explain: bool = False,
        loudness: float | None = None,
        max_minutes: float = MAX_MINUTES,
    ) -> Iterator[Result[AnySpan]]:
        """Yield results of clips in order, as :meth:`AestheticScorer.score_files`.

        Raises:
            ServiceError: If the server does not answer.
        """
        options = {"timeline": timeline, "explain": explain, "loudness": loudness}

        def score(clip: AnySpan) -> Result[AnySpan]:
            try:
                row = self._row_of_file(clip, options)
                if row["duration"] > max_minutes * 60:
                    raise AudioError(
                        f"{clip.path}: more than {max_minutes:g} min of audio; take spans of it, "
                        "or allow more (--max-minutes of score)"
                    )
            except AudioError as error:
                return Result(clip, 0.0, None, error)
            return Result(clip, row["duration"], self._scores(clip, row))

        yield from self._at_a_time(score, clips)

    def score_waveforms(
        self, waveforms: Tensor, sample_rate: int, *, prompts: Sequence[str] | None = None
    ) -> Tensor:
        """Return the scores of a batch of waveforms, as :meth:`AestheticScorer.score_waveforms`.

        Shape:
            - waveforms: ``(B, samples)`` or ``(B, channels, samples)``
            - output: ``(B, columns)``, float32, on the device of the waveforms

        Raises:
            TypeError: If the waveforms are no tensor.
            ValueError: If shape, type, rate or length do not fit, or a sample is not finite.
            ServiceError: If the server does not answer.
        """
        check_waveforms(waveforms, sample_rate)
        if prompts is not None and len(prompts) != len(waveforms):
            raise ValueError(
                f"{len(prompts)} prompts for {len(waveforms)} waveforms; give one for each"
            )
        batch = waveforms.detach().float().cpu().numpy()
        texts: Sequence[str | None] = [None] * len(batch) if prompts is None else prompts

        def score(pair: tuple[np.ndarray, str | None]) -> list[float]:
            samples, prompt = pair
            frames = np.ascontiguousarray(np.atleast_2d(samples).T, dtype="<f4")
            body = {
                "waveform_f32_base64": base64.b64encode(frames.tobytes()).decode(),
                "sample_rate": sample_rate,
                "channels": frames.shape[1],
                "prompt": prompt,
            }
            try:
                row = self._connection.ask("POST", "/v1/score", json=body)["rows"][0]
            except AudioError as error:
                raise InputError(str(error)) from error
            return [row[column] for column in self.columns]

        rows = list(self._at_a_time(score, zip(batch, texts, strict=True)))
        return torch.tensor(rows, dtype=torch.float32, device=waveforms.device)

    def waveform_warnings(self, waveforms: Tensor, sample_rate: int) -> list[tuple[str, ...]]:
        """Return the faults of each waveform of a batch; they are measured here.

        Raises:
            TypeError: If the waveforms are no tensor.
            ValueError: If shape, type or rate do not fit, or a sample is not finite.
        """
        return waveform_warnings(waveforms, sample_rate)

    def _row_of_file(self, clip: AnySpan, options: Mapping[str, Any]) -> ScoreRow:
        span = {"start": clip.start, "end": clip.end, "prompt": clip.prompt}
        fields = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in {**span, **options}.items()
            if value is not None
        }
        path = as_path(clip.path)
        name = path.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        try:
            with BytesIO(path.read()) if isinstance(path, StoredFile) else path.open("rb") as file:
                files = {"files": (name, file)}
                answer = self._connection.ask("POST", "/v1/score", files=files, data=fields)
        except OSError as error:
            raise AudioError(
                f"{path}: cannot be read ({error.strerror}); check its name"
            ) from error
        except AudioError as error:
            raise AudioError(_with_path(path, str(error))) from error
        row: ScoreRow = answer["rows"][0]
        return row

    def _scores(self, clip: AnySpan, row: ScoreRow) -> Scores:
        known = self.scorer_set
        ends = {
            column: (
                -math.inf if row[column + LOW] is None else row[column + LOW],
                math.inf if row[column + HIGH] is None else row[column + HIGH],
            )
            for column in known.all_columns
            if column + LOW in known.interval_columns
        }
        return Scores(
            values={column: row[column] for column in known.columns},
            means={column: row[column] for column in known.means.values()},
            path=fspath(clip.path),
            start=clip.start,
            end=clip.end,
            duration=row["duration"],
            loudness_lufs=row["loudness_lufs"],
            model=row["model"],
            head=row["head"],
            demo=row["demo"],
            timeline=row.get("timeline"),
            explain=row.get("explain"),
            intervals=ends,
            novelty={n: row[n] for n in known.interval_columns if n.endswith(NOVELTY)},
            notes=known.notes,
            provenance=self.provenance,
            warnings=tuple(row["warnings"].split("; ")) if row["warnings"] else (),
        )

    def _at_a_time(self, ask: Callable[[Item], Any], items: Iterable[Item]) -> Iterator[Any]:
        """Yield answers in order; so many are asked for at a time, and as many again wait."""
        waiting: deque[Future[Any]] = deque()
        todo = iter(items)
        with ThreadPoolExecutor(self._at_once) as pool:
            try:
                while True:
                    room = 2 * self._at_once - len(waiting)
                    waiting += [pool.submit(ask, item) for item in itertools.islice(todo, room)]
                    if not waiting:
                        return
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def _with_path(path: AnyPath, line: str) -> str:
    """Return an error line of the server, which knows the name of the file alone, with its path."""
    rest = line.removeprefix(path.name)
    return f"{path}{rest}" if rest != line else f"{path}: {line}"
