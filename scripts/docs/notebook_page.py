"""Notebook as a page: its texts, its code, and the outputs that it was saved with."""

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["notebook_page"]


def notebook_page(text: str) -> str:
    """Return the Markdown of a notebook."""
    parts: list[str] = []
    for cell in json.loads(text)["cells"]:
        source = joined(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source:
            parts.append(fenced(source, "python"))
            parts += (shown for output in cell["outputs"] for shown in shown_output(output))
    return "\n\n".join(parts) + "\n"


def shown_output(output: dict[str, Any]) -> Iterator[str]:
    """Yield what is shown of an output: its picture, else its text."""
    data = output.get("data", {})
    if "image/png" in data:
        yield f"![output](data:image/png;base64,{''.join(joined(data['image/png']).split())})"
    elif text := joined(output.get("text", data.get("text/plain", ""))).rstrip():
        yield fenced(text, "text")


def joined(lines: str | list[str]) -> str:
    """Return a text that a notebook may hold as a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def fenced(text: str, language: str) -> str:
    """Return a block of code."""
    return f"````{language}\n{text}\n````"
