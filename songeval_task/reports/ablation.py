"""The paper's ablation: eight rows per track, over seeds, beside the published figures.

A row turns three things on or off. MMR: the fused feature with the aesthetic head; off, one hidden
state of MuQ with the SongEval baseline head. HAS: augmented versions and C-Mixup. L_total: the
hybrid loss; off, regression by the mean squared error. How the published rows without MMR or
L_total were trained is not stated; these are our choices.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hear_aesthetics.files import csv_text, json_text, write_text
from hear_aesthetics.markdown import markdown_table
from hear_aesthetics.metrics.intervals import METHOD, SCALES, confidence_interval, paired_interval
from hear_aesthetics.scorers import FUSED
from songeval_task.protocol import METRICS, SongPredictions, mean_over, metrics_of, triple
from songeval_task.reports.ablation_plot import draw_ablation
from songeval_task.reports.read_predictions import read_predictions
from songeval_task.reports.report import interval_text
from songeval_task.training.config import SongEvalConfig
from songeval_task.training.run import train_run

__all__ = ["ROWS", "AblationRow", "published_figures", "run_ablation", "summarize"]

PUBLISHED = Path(__file__).with_name("published.csv")
BASELINE_REGRESSION: Literal["mse"] = "mse"


@dataclass(frozen=True)
class AblationRow:
    """A row of the ablation: the parts that are on.

    Attributes:
        mmr: Multi-source multi-scale representations with the aesthetic head.
        has: Augmentation and C-Mixup.
        total: The hybrid loss.
    """

    mmr: bool
    has: bool
    total: bool

    @property
    def name(self) -> str:
        """Name, such as ``MMR+HAS``; the row with nothing on is the baseline."""
        parts = {"MMR": self.mmr, "HAS": self.has, "Ltotal": self.total}
        return "+".join(name for name, on in parts.items() if on) or "baseline"

    def config(self, base: SongEvalConfig, state: str) -> SongEvalConfig:
        """Return the row's training configuration.

        Args:
            base: Configuration that the rows share.
            state: Hidden state that rows without MMR read.
        """
        return replace(
            base,
            features=FUSED if self.mmr else state,
            mixup=self.has,
            augmented=self.has,
            regression="smooth_l1" if self.total else BASELINE_REGRESSION,
            rank_weight=base.rank_weight if self.total else 0.0,
        )


ROWS = tuple(  # in the order of the published table
    AblationRow(*(part in parts for part in "mht"))
    for parts in ("", "m", "h", "t", "mh", "mt", "ht", "mht")
)


def published_figures(track: str) -> dict[str, dict[str, float]]:
    """Return row name -> metric -> published figure."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["track"] == track]
    return {row["row"]: {metric: float(row[metric]) for metric in METRICS} for row in rows}


def run_ablation(
    base: SongEvalConfig,
    prepared: Path,
    features: Path,
    out: Path,
    *,
    tracks: Sequence[str],
    seeds: int,
    state: str,
    resume: bool = True,
) -> dict[str, Any]:
    """Train every row with every seed, and write the table.

    Finished runs are kept, an interrupted one goes on: the same command ends with the same table.

    Args:
        base: Configuration that the rows share; their seeds count up from its seed.
        prepared: Folder of ``songeval prepare``.
        features: Folder of ``songeval features``.
        out: Folder; each run is in ``TRACK/ROW/seedN``.
        tracks: Names of the tracks.
        seeds: Number of runs per row.
        state: Hidden state that rows without MMR read.
        resume: Keep finished runs and go on with others; False: train all of them again.

    Returns:
        The contents of ``ablation.json``.
    """
    figures: dict[str, Any] = {}
    for track in tracks:
        found: dict[str, list[SongPredictions]] = {}
        for row in ROWS:
            for seed in range(base.seed, base.seed + seeds):
                config = replace(row.config(base, state), track=track, seed=seed)
                folder = out / track / row.name / f"seed{seed}"
                train_run(config, prepared, features, folder, resume=resume)
                found.setdefault(row.name, []).append(read_predictions(folder, None).predictions)
        figures[track] = summarize(found)
        _write(out, base, state, seeds, figures)
    return figures


def summarize(
    found: Mapping[str, Sequence[SongPredictions]], baseline_name: str = ROWS[0].name
) -> dict[str, dict[str, Any]]:
    """Return the metrics of each row: the mean over its seeds, with intervals over the songs.

    Args:
        found: Predictions of each seed by row, all for the same songs.
        baseline_name: Row that the others are compared with.

    Returns:
        row -> ``"value"`` and ``"difference"`` (to the baseline) -> metric -> value, low, high; and
        ``"seeds"`` -> metric -> one value per seed.
    """
    baseline = found[baseline_name]
    return {
        name: {
            "value": _over_songs(runs),
            "difference": _over_songs(runs, baseline),
            "seeds": {
                metric: [float(score(run.preds, run.target).mean()) for run in runs]
                for metric, score in metrics_of(runs[0].track).items()
            },
        }
        for name, runs in found.items()
    }


def _over_songs(
    runs: Sequence[SongPredictions], baseline: Sequence[SongPredictions] | None = None
) -> dict[str, list[float]]:
    """Return the mean over seeds and dimensions per metric, or its difference to the baseline."""
    track = runs[0].track
    # seeds side by side: a metric sees seeds x dimensions columns, and the mean is over all of them
    target = np.concatenate([run.target for run in runs], axis=1)
    preds = np.concatenate([run.preds for run in runs], axis=1)
    other = None if baseline is None else np.concatenate([run.preds for run in baseline], axis=1)
    thresholds = track.top_tier_thresholds * len(runs)
    values = {}
    for name, metric in metrics_of(track, thresholds).items():
        mean = mean_over(metric)
        if other is None:
            interval = confidence_interval(mean, preds, target, scale=SCALES[name])
        else:
            interval = paired_interval(mean, preds, other, target)
        values[name] = triple(interval)
    return values


def _write(
    out: Path, base: SongEvalConfig, state: str, seeds: int, figures: Mapping[str, Any]
) -> None:
    write_text(out / "ablation.csv", _csv(figures))
    write_text(out / "ablation.md", _page(base, state, seeds, figures))
    draw_ablation(out / "ablation.png", figures, {t: published_figures(t) for t in figures})
    shared = {"training": asdict(base), "state": state, "seeds": seeds, "method": METHOD}
    write_text(out / "ablation.json", json_text({**shared, "tracks": figures}))


def _csv(figures: Mapping[str, Any]) -> str:
    names = [f"{m}{end}" for m in METRICS for end in ("", " low", " high", " published")]
    lines = [["track", "row", *names]]
    for track, rows in figures.items():
        published = published_figures(track)
        for row, parts in rows.items():
            cells = [[*parts["value"][m], published[row][m]] for m in METRICS]
            lines.append([track, row, *(f"{value:.4f}" for cell in cells for value in cell)])
    return csv_text(lines)


def _page(base: SongEvalConfig, state: str, seeds: int, figures: Mapping[str, Any]) -> str:
    parts = [
        "# Ablation",
        f"Mean over {seeds} seed{'s' * (seeds > 1)}; brackets are 95 % intervals over the "
        f"test songs ({METHOD}). Published figures are the paper's, on "
        "SongEval's 200 validation songs with the published encoders: other songs and other "
        "features than these, unless that is what was trained on.",
        f"MMR: fused feature and aesthetic head; without it, `{state}` and the SongEval baseline "
        "head. HAS: augmented versions and C-Mixup. Ltotal: SmoothL1 and ListMLE; without it, mean "
        "squared error.",
    ]
    header = ["row", *(m.upper() for m in METRICS)]
    for track, rows in figures.items():
        published = published_figures(track)
        lines, differences = [], []
        for name, found in rows.items():
            texts = {m: interval_text(found["value"][m]) for m in METRICS}
            lines.append([name, *(f"{t} ({published[name][m]:.3f})" for m, t in texts.items())])
            if name != ROWS[0].name:
                changes = (interval_text(found["difference"][m], signed=True) for m in METRICS)
                differences.append([name, *changes])
        parts += [f"## {track} (published)", markdown_table(header, lines, numbers=True)]
        parts += [
            "Difference to the baseline:",
            markdown_table(header, differences, numbers=True),
        ]
    parts.append("![Ablation](ablation.png)")
    options = markdown_table(["option", "value"], asdict(base).items(), numbers=True)
    parts += ["## Shared training options", options]
    return "\n\n".join(parts) + "\n"
