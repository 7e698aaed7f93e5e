"""Execute the notebooks and keep what they print and draw.

make notebooks                        # all of them, written anew
python -m scripts.notebooks --check   # runs them, writes nothing
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs/notebooks"
SECONDS = 1200  # for a cell, on a machine that does other work too


def execute(path: Path) -> nbformat.NotebookNode:
    """Run a notebook in its folder from its first cell to its last; return it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails; it shows the cell.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}  # not the version of Python
    return notebook


def main() -> None:
    """Execute the chosen notebooks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="such as takes; all")
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args()
    # `!hear-aesthetics` is that of this environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for path in sorted(FOLDER.glob("*.ipynb")):
        if chosen.names and path.stem not in chosen.names:
            continue
        notebook = execute(path)
        if not chosen.check:
            nbformat.write(notebook, path)
        print(f"{path.name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells")


if __name__ == "__main__":
    main()
