"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(
    header: Sequence[object], rows: Iterable[Iterable[object]], *, numbers: bool = False
) -> str:
    """Return a Markdown table, without a newline at its end.

    Args:
        header: Names of the columns.
        rows: Cells, already escaped where they need to be.
        numbers: Whether all columns but the first are aligned right.
    """
    rule = ["---", *["---:" if numbers else "---"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (header, rule, *rows))
