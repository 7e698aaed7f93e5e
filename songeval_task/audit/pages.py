"""Pages of an audit: ``audit.csv``, ``audit.md`` and ``audit.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import soundfile

from hear_aesthetics.files import csv_text, json_text, write_text
from hear_aesthetics.markdown import markdown_table
from hear_aesthetics.metrics.intervals import METHOD
from songeval_task.audit.effects import RANK_PLACES, Effect, describe

__all__ = ["sentences", "signed", "write_pages"]

DECIMALS = 4
PACKAGES = ("soundfile", "soxr", "av", "audiomentations")  # whose versions decide some variants
DEMO = "These are demo scores, learned from no ratings by people."
READING = f"""A change is the score of the variant minus that of the song as it is. Brackets are \
95 % intervals of its mean over songs ({METHOD}); - means that nothing can be told. The ranks are \
those among the audited songs, all as they are against all in the variant; the last column but \
notes says how many songs move by more than {RANK_PLACES} places. What the variants do, and what \
follows from a number: docs/audit.md of the package."""


def sentences(effects: Sequence[Effect], *, demo: bool) -> str:
    """Return the finding of each head; that of a further one begins with its name."""
    by_head = _by_head(effects)
    said = [
        describe(found) if len(by_head) == 1 else f"{head}: {describe(found)}"
        for head, found in by_head.items()
    ]
    return " ".join([*said, *([DEMO] if demo else [])])


def write_pages(
    out: Path,
    effects: Sequence[Effect],
    *,
    songs: Sequence[str],
    failed: Sequence[str],
    provenance: Mapping[str, Any],
    demo: bool,
) -> None:
    """Write the pages into a folder.

    Args:
        out: The folder.
        effects: Effects, column by column.
        songs: Names of the songs.
        failed: Why further songs could not be scored, a line each.
        provenance: What made the scores.
        demo: Whether they say nothing about music.
    """
    names = [field.name for field in fields(Effect)]
    lines = [[_cell(getattr(effect, name)) for name in names] for effect in effects]
    write_text(out / "audit.csv", csv_text([names, *lines]))
    finding = sentences(effects, demo=demo)
    write_text(out / "audit.md", _page(effects, finding, songs, failed))
    values = {
        "finding": finding,
        "demo": demo,
        "songs": list(songs),
        "failed": list(failed),
        "effects": [asdict(effect) for effect in effects],
        "method": METHOD,
        "versions": _versions(),
        "provenance": provenance,
    }
    write_text(out / "audit.json", json_text(values, default=str))


def signed(value: float | None) -> str:
    """Return a change with its sign, or a dash."""
    return "-" if value is None else f"{value:+.3f}"


def _page(
    effects: Sequence[Effect], finding: str, songs: Sequence[str], failed: Sequence[str]
) -> str:
    parts = ["# Audit of scores", finding, "![Changes of scores](audit.png)", READING]
    several = len(_by_head(effects)) > 1
    for head, found in _by_head(effects).items():
        columns = list(dict.fromkeys(effect.column for effect in found))
        for column in [columns[-1], *columns[:-1]]:  # the mean first
            title = f"{head}: {column.removeprefix(f'{head}:')}" if several else column
            parts += [f"## {title}", _table([e for e in found if e.column == column])]
    notes = {effect.variant: effect.note for effect in effects if effect.note}
    if notes:
        parts += ["## Not measured", *(f"- {name}: {_text(why)}" for name, why in notes.items())]
    if failed:
        parts += ["## Songs that failed", *(f"- {_text(why)}" for why in failed)]
    parts.append(f"{len(songs)} songs; audit.json names them, and what made the scores.")
    return "\n\n".join(parts) + "\n"


def _table(effects: Sequence[Effect]) -> str:
    header = ["variant", "songs", "change", "95 % interval", "size", "worst song", "its change"]
    header += ["LU", f"over {RANK_PLACES} places"]
    calibrated = any(effect.interval_share is not None for effect in effects)
    rows = []
    for e in effects:
        ends = "-" if e.low is None else f"[{signed(e.low)}, {signed(e.high)}]"
        absolute = "-" if e.absolute is None else f"{e.absolute:.3f}"
        song = "-" if e.worst_song is None else _text(e.worst_song)
        loudness = "-" if e.loudness is None else f"{e.loudness:+.1f}"
        row = [e.variant, e.songs, signed(e.change), ends, absolute, song, signed(e.worst_change)]
        rows.append([*row, loudness, _share(e.rank_share)])
        if calibrated:
            rows[-1].append(_share(e.interval_share))
    return markdown_table(
        [*header, "of half interval"] if calibrated else header, rows, numbers=True
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _text(text: str | None) -> str:
    """Return text that no table or page takes for markup."""
    line = "".join(f"\\{c}" if c in r"\`*_[]|<>" else c for c in text or "")
    return line.encode(errors="replace").decode()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.{DECIMALS}f}"
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return "" if value is None else value


def _by_head(effects: Sequence[Effect]) -> dict[str, list[Effect]]:
    found: dict[str, list[Effect]] = {}
    for effect in effects:
        found.setdefault(effect.head, []).append(effect)
    return found


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"libsndfile": soundfile.__libsndfile_version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
