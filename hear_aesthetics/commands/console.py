"""What the commands share on a terminal: error lines, a progress bar, a summary, exit codes, JSON.

Results go to stdout; everything meant for eyes goes to stderr, without colours where that is no
terminal or ``NO_COLOR`` is set.
"""

import errno
import logging
import os
import re
import sys
import unicodedata
from enum import IntEnum
from types import TracebackType
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

_tracebacks = False


class ExitCode(IntEnum):
    """How a command ends."""

    OK = 0
    FAILED = 1  # nothing worked
    USAGE = 2  # wrong usage
    PARTIAL = 3  # some inputs failed
    INTERRUPTED = 130  # by the keyboard


def exit_code(done: int, failed: int) -> ExitCode:
    """The code for a number of inputs that worked and of inputs that did not."""
    if not failed:
        return ExitCode.OK
    return ExitCode.PARTIAL if done else ExitCode.FAILED


def error_line(message: object) -> None:
    """Writes ``error: message`` to stderr, as one line."""
    _write_line("error", "red", message)


def describe_error(error: Exception) -> str:
    """Return one line: what is wrong, where, and the remedy."""
    if isinstance(error, HearAestheticsError):
        return str(error)
    if isinstance(error, OSError) and error.errno in REMEDIES:
        place = error.filename or "a file"
        return f"{place}: {error.strerror}; {REMEDIES[error.errno]}, and run the command again"
    if isinstance(error, ImportError) and (missing := _missing_package(str(error))):
        return missing
    kind = type(error).__name__
    return f"unexpected {kind}: {error}; please report it (--debug shows the traceback)"


def _missing_package(message: str) -> str | None:
    """What to install, if the message of an ImportError names a package of our extras."""
    from importlib.metadata import requires

    for requirement in requires(PROGRAM) or ():
        package, _, extra = requirement.partition("; extra == ")
        if extra and re.search(rf"\b{re.split('[<>=]', package)[0]}\b", message):
            remedy = f"run `pip install '{PROGRAM}[{extra[1:-1]}]'`"
            return f"this needs {package}, which cannot be imported; {remedy}"
    return None


def show_tracebacks(wanted: bool) -> None:
    """Set whether errors are raised with their traceback; the environment may ask for it too."""
    global _tracebacks
    _tracebacks = wanted or os.environ.get(DEBUG, "0") not in ("", "0")


def tracebacks_shown() -> bool:
    """Return what :func:`show_tracebacks` has set."""
    return _tracebacks


def warning_line(message: object) -> None:
    """Writes ``warning: message`` to stderr, as one line."""
    _write_line("warning", "yellow", message)


def warn_if_untrained(provenance: Any) -> None:
    """Say on stderr that a model is untrained, if its provenance says so."""
    if isinstance(provenance, dict) and provenance.get("status") == "untrained":
        name = provenance.get("model")
        warning_line(f"model {name} is untrained: its numbers show what random weights reach")


def write_json(value: Any) -> None:
    """Writes one JSON document to stdout; a number that is not finite becomes null.

    Args:
        value: Dictionaries, lists, strings, numbers, booleans and None.
    """
    sys.stdout.write(json_text(value))


def log_to_stderr() -> None:
    """Sends warnings and errors of the libraries to stderr, one line each."""
    root = logging.getLogger()
    if not any(isinstance(handler, _LineHandler) for handler in root.handlers):
        root.addHandler(_LineHandler(logging.WARNING))


class Report:
    """Counts what worked and what failed, shows how far it is, and says so at the end.

    ```
    with Report(len(inputs), "scored") as report:
        for result in results:
            report.fail(result.error) if result.error else report.done()
    raise typer.Exit(report.exit_code)
    ```

    Args:
        total: Number of inputs; None if it is not known.
        verb: What happens to them, as a participle: ``"scored"``.
        noun: What one of them is.
    """

    def __init__(self, total: int | None, verb: str, noun: str = "file") -> None:
        from hear_aesthetics.progress import ProgressBar

        self.worked = 0
        self.errors: list[str] = []
        self._verb, self._noun = verb, noun
        self._bar = ProgressBar(verb, total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if kind is None:
            self._bar.console.print(self.summary)

    def done(self, count: int = 1) -> None:
        """Counts inputs that worked."""
        self.worked += count
        self._bar.count(count)

    def fail(self, message: object) -> None:
        """Counts an input that failed, and says why: the message names it."""
        self.errors.append(str(message))
        _write_line("error", "red", message, self._bar.console)
        self._bar.count()

    @property
    def failed(self) -> int:
        """Number of inputs that failed."""
        return len(self.errors)

    @property
    def exit_code(self) -> ExitCode:
        """What the command should exit with."""
        return exit_code(self.worked, self.failed)

    @property
    def summary(self) -> str:
        """One line: ``12 files scored, 1 failed``."""
        plural = "" if self.worked == 1 else "s"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.worked} {self._noun}{plural} {self._verb}{failed}"


class _LineHandler(logging.Handler):
    """Log records as ``warning: message`` on whatever stderr is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        _write_line(record.levelname.lower(), "yellow", record.getMessage())


def _write_line(label: str, style: str, message: object, console: "Console | None" = None) -> None:
    from rich.text import Text

    from hear_aesthetics.progress import stderr_console

    line = "".join(map(_visible, " ".join(str(message).splitlines())))
    (console or stderr_console()).print(Text.assemble((f"{label}: ", style), line))


def _visible(character: str) -> str:
    """The character, escaped if it could steer the terminal or turn the text (bidi marks)."""
    is_odd = unicodedata.category(character) in ("Cc", "Cf")
    return character.encode("unicode_escape").decode() if is_odd else character
