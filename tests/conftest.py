"""Paths of the parity fixtures and of the shared real data, and several processes at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf
import torch

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The committed parity fixtures."""
    assert (GOLDEN / "README.md").is_file(), "tests/golden is missing from this checkout"
    return GOLDEN


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real tasks, real audio and fixtures with published labels; not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout: real tasks and audio are not available")
    return SHARED


@pytest.fixture(scope="session")
def golden_audio(golden: Path) -> dict[str, torch.Tensor]:
    """The fixtures' 24 kHz inputs by name, each ``(1, samples)`` float32."""
    return {
        path.stem: torch.from_numpy(sf.read(path, dtype="int16")[0]).float()[None] / 32768
        for path in sorted((golden / "audio").glob("*.wav"))
    }


@pytest.fixture(scope="session")
def tiny_model_directory(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory made of the fixtures' tiny checkpoints, in the published layouts."""
    directory = tmp_path_factory.mktemp("models") / "tiny"
    (directory / "muq").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(golden / "muq_tiny" / name, directory / "muq" / name)
    shutil.copytree(golden / "musicfm_tiny" / "musicfm", directory / "musicfm")
    return directory


Launch = Callable[[Sequence[object], int], "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def launch() -> Launch:
    """Starts ``hear-aesthetics`` on the processor in that many processes, as the documents say."""

    def start(words: Sequence[object], processes: int) -> "subprocess.Popen[str]":
        command = [sys.executable]
        if processes > 1:
            command += ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu"]
            command += ["--num_processes", str(processes), "--main_process_port", "0"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
        return subprocess.Popen(
            [*command, "-m", "hear_aesthetics", *map(str, words)],
            env=environment | {"CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def run_in(launch: Launch) -> Callable[..., str]:
    """Runs a command in that many processes to its end; what it says."""

    def run(words: Sequence[object], processes: int = 1) -> str:
        process = launch(words, processes)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said

    return run


@pytest.fixture
def saved_figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures of all pictures that are written."""
    from hear_aesthetics.plotting import style

    figures: list[Any] = []
    png = style.png
    monkeypatch.setattr(style, "png", lambda figure: (figures.append(figure), png(figure))[1])
    return figures


def _drawn_texts(figure: Any) -> list[Any]:
    """All text on the page; matplotlib also keeps tick labels beyond the ends of an axis."""
    inside = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    texts = [*figure.texts, *(t for box in [*figure.legends, *inside] for t in box.get_texts())]
    for axes in figure.axes:
        if not axes.axison:
            texts += axes.texts
            continue
        titles = axes.title, axes._left_title, axes._right_title
        texts += [*titles, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            places = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
            texts += [label for at, label in places if min(limits) <= at <= max(limits)]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


@pytest.fixture(scope="session")
def check_layout() -> Callable[[Any], list[str]]:
    """Fails where a text of a picture leaves the page or overlaps another; returns all texts."""

    def check(figure: Any) -> list[str]:
        figure.draw_without_rendering()
        texts = _drawn_texts(figure)
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
        page = figure.bbox
        for text, box in boxes:
            across = page.x0 <= box.x0 and box.x1 <= page.x1
            inside = across and page.y0 <= box.y0 <= box.y1 <= page.y1
            assert inside, f"{text!r} leaves the page"
        upright = [
            box for box, text in zip(boxes, texts, strict=True) if not text.get_rotation() % 90
        ]
        for (one, a), (other, b) in combinations(upright, 2):
            assert not a.padded(-1).overlaps(b.padded(-1)), f"{one!r} overlaps {other!r}"
        return [text for text, _ in boxes]

    return check
