"""Terminal output of the commands: error lines, progress, summaries, tables, JSON, exit codes.

Results go to stdout; everything meant for eyes goes to stderr, without colours where that is no
terminal or ``NO_COLOR`` is set.
"""

import errno
import logging
import os
import re
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Self

from hear_aesthetics.errors import HearAestheticsError
from hear_aesthetics.files import json_text

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "ExitCode",
    "Report",
    "describe_error",
    "error_line",
    "exit_code",
    "log_to_stderr",
    "print_table",
    "requirements",
    "show_tracebacks",
    "tracebacks_shown",
    "warn_if_untrained",
    "warning_line",
    "write_json",
]

PROGRAM = "hear-aesthetics"
DEBUG = "HEAR_AESTHETICS_DEBUG"
REMEDIES = {  # errno -> what to do about it; other system errors are unexpected
    **dict.fromkeys(
        (errno.ENOSPC, errno.EFBIG, errno.EDQUOT), "make room, or write to another place"
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "check its permissions, or name another place"
    ),
    **dict.fromkeys(
        (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
        "check the name",
    ),
}

GAP = 2  # blanks between the columns of a table
TEXT_WIDTH = 18  # that a column of text keeps where room is short

_tracebacks = False


class ExitCode(IntEnum):
    """Exit code of a command."""

    OK = 0
    FAILED = 1  # nothing worked
    USAGE = 2
    PARTIAL = 3  # some inputs failed
    INTERRUPTED = 130  # by the keyboard


def exit_code(done: int, failed: int) -> ExitCode:
    """Return the exit code for so many inputs that worked and that failed."""
    if not failed:
        return ExitCode.OK
    return ExitCode.PARTIAL if done else ExitCode.FAILED


def error_line(message: object) -> None:
    """Write ``error: message`` to stderr, as one line."""
    _write_line("error", "red", message)


def describe_error(error: Exception) -> str:
    """Return one line: what is wrong, where, and the remedy."""
    if isinstance(error, HearAestheticsError):
        return str(error)
    if isinstance(error, OSError) and error.errno in REMEDIES:
        place = error.filename or "standard output"
        return f"{place}: {error.strerror}; {REMEDIES[error.errno]}, and run the command again"
    if isinstance(error, ImportError) and (missing := _missing_package(str(error))):
        return missing
    kind = type(error).__name__
    return f"unexpected {kind}: {error}; please report it (--debug shows the traceback)"


def _missing_package(message: str) -> str | None:
    """Return what to install, if the message of an ImportError names a package of our extras."""
    for name, bounds, extra in requirements():
        module = name.replace("-", "[-_]")  # in an import, the hyphen is an underscore
        if extra and re.search(rf"\b{module}\b", message):
            remedy = f"run `pip install '{PROGRAM}[{extra}]'`"
            return f"this needs {name}{bounds}, which cannot be imported; {remedy}"
    return None


def requirements() -> list[tuple[str, str, str | None]]:
    """Return name, version bounds and extra (None: always installed) of the packages in use."""
    from importlib.metadata import requires

    pattern = re.compile(r"([\w.-]+)([^;]*)(?:; extra == .(\w+))?")
    found = [match.groups() for match in map(pattern.match, requires(PROGRAM) or ()) if match]
    return [(name, bounds, extra) for name, bounds, extra in found if extra != "dev"]


def show_tracebacks(wanted: bool) -> None:
    """Set whether errors are raised with their traceback; the environment may ask for it too."""
    global _tracebacks
    _tracebacks = wanted or os.environ.get(DEBUG, "0") not in ("", "0")


def tracebacks_shown() -> bool:
    """Return what :func:`show_tracebacks` has set."""
    return _tracebacks


def warning_line(message: object) -> None:
    """Write ``warning: message`` to stderr, as one line."""
    _write_line("warning", "yellow", message)


def warn_if_untrained(provenance: Any) -> None:
    """Say on stderr that a model is untrained, if its provenance says so."""
    if isinstance(provenance, dict) and provenance.get("status") == "untrained":
        name = provenance.get("model")
        warning_line(f"model {name} is untrained: its numbers show what random weights reach")


def write_json(value: Any) -> None:
    """Write one JSON document to stdout; a number that is not finite becomes null."""
    sys.stdout.write(json_text(value))


def print_table(
    names: Sequence[str], cells: Iterable[Sequence[str]], *, left: Sequence[str] = ()
) -> None:
    """Print a table on stdout, as wide as it needs to be where that is no terminal.

    On a narrow terminal headings lose their ends, then text is folded; numbers stay whole. Columns
    named in ``left`` hold text; the others are numbers and end at the right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [["".join(map(_visible, cell)) for cell in line] for line in cells]
    widths = [max([len(line[index]) for line in lines], default=0) for index in range(len(names))]
    whole = sum(max(len(name), width) + GAP for name, width in zip(names, widths, strict=True))
    console = Console(width=None if sys.stdout.isatty() else whole, highlight=False)
    texts = [min(w, TEXT_WIDTH) if n in left else w for n, w in zip(names, widths, strict=True)]
    headings = _fit(names, texts, console.width)
    table = Table(box=None, pad_edge=False)
    for name, heading, width in zip(names, headings, texts, strict=True):
        if name in left:
            table.add_column(heading, overflow="fold", min_width=width)
        else:
            table.add_column(heading, justify="right", min_width=width)
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)


def _fit(names: Sequence[str], widths: Sequence[int], room: int) -> list[str]:
    """Return the headings, all cut to one length if the columns do not fit side by side."""
    for length in range(max(map(len, names)), 2, -1):
        cut = [n if len(n) <= length else f"{n[: length - 1]}…" for n in names]
        if sum(max(len(n), w) + GAP for n, w in zip(cut, widths, strict=True)) <= room:
            break
    return cut


def log_to_stderr() -> None:
    """Send warnings and errors of the libraries to stderr, one line each."""
    root = logging.getLogger()
    if not any(isinstance(handler, _LineHandler) for handler in root.handlers):
        root.addHandler(_LineHandler(logging.WARNING))


class Report:
    """Progress of a command over its inputs: counts, a bar, error lines and a summary.

    ```
    with Report(len(inputs), "scored") as report:
        for result in results:
            report.fail(result.error) if result.error else report.done()
    raise typer.Exit(report.exit_code)
    ```

    Args:
        total: Number of inputs; None if unknown.
        verb: Participle of what happens to them: ``"scored"``.
        noun: Name of one of them.
    """

    def __init__(self, total: int | None, verb: str, noun: str = "file") -> None:
        from hear_aesthetics.engine.progress import ProgressBar

        self.worked = 0
        self.errors: list[str] = []
        self._verb, self._noun = verb, noun
        self._bar = ProgressBar(verb, total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.stop()
        if kind is None:
            self._bar.console.print(self.summary)

    def done(self, count: int = 1) -> None:
        """Count inputs that worked."""
        self.worked += count
        self._bar.count(count)

    def fail(self, message: object, steps: int = 1) -> None:
        """Count an input that failed, of so many steps, and say why: the message names it."""
        self.errors.append(str(message))
        _write_line("error", "red", message, self._bar.console)
        self._bar.count(steps)

    @property
    def failed(self) -> int:
        """Number of inputs that failed."""
        return len(self.errors)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the command."""
        return exit_code(self.worked, self.failed)

    @property
    def summary(self) -> str:
        """One line: ``12 files scored, 1 failed``."""
        plural = "" if self.worked == 1 else "s"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.worked} {self._noun}{plural} {self._verb}{failed}"


class _LineHandler(logging.Handler):
    """Log records as ``warning: message (error)`` on whatever stderr is at the time.

    With ``--debug`` the traceback of the error follows.
    """

    def emit(self, record: logging.LogRecord) -> None:
        line, error = record.getMessage(), record.exc_info[1] if record.exc_info else None
        if error is not None:
            line = f"{line} ({type(error).__name__}: {error})"
        _write_line(record.levelname.lower(), "yellow", line)
        if error is not None and tracebacks_shown():
            traceback.print_exception(error)


def _write_line(label: str, style: str, message: object, console: "Console | None" = None) -> None:
    from rich.text import Text

    from hear_aesthetics.engine.progress import stderr_console

    line = "".join(map(_visible, " ".join(str(message).splitlines())))
    (console or stderr_console()).print(Text.assemble((f"{label}: ", style), line))


def _visible(character: str) -> str:
    """Return a character, escaped if it could steer the terminal or turn the text (bidi marks)."""
    is_odd = unicodedata.category(character) in ("Cc", "Cf")
    return character.encode("unicode_escape").decode() if is_odd else character
