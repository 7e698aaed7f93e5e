"""Pages of an audit: ``audit.csv``, ``audit.md`` and ``audit.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import soundfile

from hear_aesthetics.files import json_text, write_text
from hear_aesthetics.markdown import markdown_table
from hear_aesthetics.metrics.intervals import METHOD
from songeval_task.audit.effects import RANK_PLACES, Effect, describe
from songeval_task.scoring.outputs.formats import rows_csv

__all__ = ["sentences", "signed", "write_pages"]

PACKAGES = ("soundfile", "soxr", "av", "audiomentations")  # whose versions decide some variants
DEMO = "These are demo scores, learned from no ratings by people."
READING = f"""\
A change is the score of the variant minus that of the song as it is; *change* is its mean over
songs with a 95 % interval ({METHOD}), *absolute* the mean without signs. *LU* is the change of the
loudness. *Moved* is the share of songs whose rank among the audited songs, all in the variant
against all as they are, changes by more than {RANK_PLACES} places. A dash means that it cannot be
told from these songs."""
OF_INTERVAL = """\
*Of interval* is the mean absolute change in halves of the song's calibrated interval."""


def sentences(effects: Sequence[Effect], *, demo: bool) -> str:
    """Return a paragraph per head: which variants move its scores."""
    by_head = _by_head(effects)
    said = [
        describe(found) if len(by_head) == 1 else f"{head}: {describe(found)}"
        for head, found in by_head.items()
    ]
    return "\n\n".join([*said, *([DEMO] if demo else [])])


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
    finding = sentences(effects, demo=demo)
    tables = {
        "audit.csv": rows_csv(map(asdict, effects), names),
        "audit.md": _page(effects, finding, songs, failed),
    }
    for name, text in tables.items():  # names of songs that are not UTF-8 become escapes
        write_text(out / name, text.encode(errors="backslashreplace").decode())
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
    """Return a change with its sign, if it has one with these decimals, or a dash."""
    return "-" if value is None else f"{value:+z.3f}".replace("+0.000", "0.000")


def _page(
    effects: Sequence[Effect], finding: str, songs: Sequence[str], failed: Sequence[str]
) -> str:
    parts = ["# Audit of scores", finding, "![Changes of scores](audit.png)", READING]
    if any(effect.interval_share is not None for effect in effects):
        parts.append(OF_INTERVAL)
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
    header = ["variant", "songs", "change", "95 % interval", "absolute", "worst song"]
    header += ["its change", "LU", "moved"]
    calibrated = any(effect.interval_share is not None for effect in effects)
    rows = []
    for e in effects:
        ends = "-" if e.low is None else f"[{signed(e.low)}, {signed(e.high)}]"
        absolute = "-" if e.absolute is None else f"{e.absolute:.3f}"
        song = "-" if e.worst_song is None else _text(e.worst_song)
        loudness = "-" if e.loudness is None else f"{e.loudness:+z.1f}"
        row = [e.variant, e.songs, signed(e.change), ends, absolute, song, signed(e.worst_change)]
        rows.append([*row, loudness, _share(e.rank_share)])
        if calibrated:
            rows[-1].append(_share(e.interval_share))
    return markdown_table([*header, "of interval"] if calibrated else header, rows, numbers=True)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _text(text: str | None) -> str:
    """Return text that no table or page takes for markup."""
    return "".join(f"\\{c}" if c in r"\`*_[]|<>" else c for c in text or "")


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
