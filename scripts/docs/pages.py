"""Pages that ``mkdocs build`` makes: help of commands, notebooks, and files outside ``docs/``.

A page may link to any file of the repository. On a code host such a link opens the file; in the
site, which is read offline, it opens a copy under ``repository/``.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # as a hook, this file is no part of a package

from scripts.docs.command_help import command_pages  # noqa: E402
from scripts.docs.notebook_page import notebook_page  # noqa: E402

LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
NOTEBOOK = ".ipynb"
COPIES = "repository"  # folder of the site with files outside docs/
LANGUAGES = {".py": "python", ".toml": "toml", ".sbatch": "sh", ".cff": "yaml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of commands, and copies of what pages link to outside ``docs/``."""
    for place, text in command_pages():
        files.append(File.generated(config, place, content=text))
    for file in [file for file in files if file.src_uri.endswith(NOTEBOOK)]:
        page = notebook_page(file.content_string)
        files.append(File.generated(config, as_page(file.src_uri), content=page))
    todo = [(f"docs/{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    while todo:
        here, text = todo.pop()
        for target in outside_links(here, text):
            place = copy_place(target)
            if files.get_file_from_path(place) is None:
                content = copy_text(target)
                files.append(File.generated(config, place, content=content))
                todo.append((target, content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files outside ``docs/`` into links to their copies."""
    place = page.file.src_uri
    here = source_of(place)
    folder = posixpath.dirname(place)

    def to_copy(found: re.Match[str]) -> str:
        target = repository_path(here, found[2])
        if target is None:
            return found[0]
        inside = target.startswith("docs/")
        there = as_page(target.removeprefix("docs/")) if inside else copy_place(target)
        return f"{found[1]}{posixpath.relpath(there, folder)}{found[3] or ''}{found[4]}"

    return LINK.sub(to_copy, markdown)


def as_page(place: str) -> str:
    """Return the page that shows a file of ``docs/``: its own path, but for notebooks."""
    return f"{place.removesuffix(NOTEBOOK)}.md" if place.endswith(NOTEBOOK) else place


def source_of(place: str) -> str:
    """Return the path in the repository of what a page of the site shows."""
    if not place.startswith(f"{COPIES}/"):
        return f"docs/{place}"
    path = place.removeprefix(f"{COPIES}/")
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def outside_links(here: str, text: str) -> Iterator[str]:
    """Yield the files outside ``docs/`` that a text links to, as paths in the repository."""
    for found in LINK.finditer(text):
        target = repository_path(here, found[2])
        if target is not None and not target.startswith("docs/"):
            yield target


def repository_path(here: str, link: str) -> str | None:
    """Return the file that a relative link of a file names; None if it names no file."""
    if re.match(r"[a-z]+:", link):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    return target if (ROOT / target).is_file() else None


def copy_place(target: str) -> str:
    """Return the page that shows a file of the repository."""
    return f"{COPIES}/{target}" + ("" if target.endswith(".md") else ".md")


def copy_text(target: str) -> str:
    """Return the page of a file: its text, or its code under its name."""
    text = (ROOT / target).read_text(encoding="utf-8")
    if target.endswith(".md"):
        return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    language = LANGUAGES.get(Path(target).suffix, "text")
    return f"# `{target}`\n\n````{language}\n{text}````\n"
