"""Clips made on the spot, a small model with published heads, and the commands in this process."""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.cli import main
from songeval_task import AestheticScorer
from songeval_task.data.dataset import read_songeval
from songeval_task.data.preparation import Choices, inspect_audio, prepare
from songeval_task.dimensions import DIMENSIONS
from songeval_task.uncertainty.calibration import Calibration
from songeval_task.uncertainty.reference import ReferenceSongs

WriteClip = Callable[..., Path]


class Outcome(NamedTuple):
    """What a command said and returned."""

    code: int
    out: str
    errors: list[str]  # lines of stderr that are errors
    notes: list[str]  # the others


def clip(seconds: float, seed: int, sample_rate: int = 24_000) -> np.ndarray:
    """Two tones and noise, different for every seed."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in rng.uniform(100, 2000, 2))
    return (0.1 * tones + rng.uniform(0.005, 0.1) * rng.standard_normal(times.size)).astype("f4")


@pytest.fixture(scope="session")
def write_clip() -> WriteClip:
    """Writes a clip, the same for the same seed."""

    def write(path: Path, seconds: float = 0.5, seed: int = 0, sample_rate: int = 24_000) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip(seconds, seed, sample_rate), sample_rate)
        return path

    return write


@pytest.fixture(scope="session")
def write_broken() -> Callable[[Path], Sequence[str]]:
    """Writes files of audio extensions into a folder, each broken in its own way; their names."""

    def write(folder: Path) -> Sequence[str]:
        samples = clip(1.0, seed=1)
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "short.wav", samples[:500], 24_000)
        soundfile.write(folder / "whole.flac", samples, 24_000)
        samples[12_000] = np.nan
        soundfile.write(folder / "nan.wav", samples, 24_000, subtype="FLOAT")
        whole = (folder / "whole.flac").read_bytes()
        (folder / "whole.flac").unlink()
        contents = {
            "empty.wav": b"",
            "text.wav": b"this is no audio\n" * 100,
            "page.mp3": b"<!DOCTYPE html><html><body>404 not found</body></html>",
            "zeros.mp3": bytes(20_000),
            "random.ogg": np.random.default_rng(0).bytes(20_000),
            "cut.flac": whole[: len(whole) // 2],
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return sorted(path.name for path in folder.iterdir())

    return write


@pytest.fixture(scope="session")
def demo_scorer() -> AestheticScorer:
    """The bundled model with its demo head."""
    return AestheticScorer.from_pretrained(model="mini")


@pytest.fixture(scope="session")
def calibrate_demo(demo_scorer) -> Callable[[Path, float], Path]:
    """Writes a calibration of the demo head whose scores miss ratings by so much."""

    def write(path: Path, error: float) -> Path:
        (head,) = demo_scorer.scorer_set.heads.values()
        rng = np.random.default_rng(0)
        preds = rng.uniform(1, 5, (60, len(head.columns)))
        reference = ReferenceSongs.of(rng.normal(size=(60, head.head.output.in_features)))
        tables = preds, preds + rng.normal(0, error, preds.shape), rng.uniform(1, 2, 60)
        made = reference, head.calibrated_for(demo_scorer.model)
        Calibration.of(head.columns, *tables, [""] * 60, *made).write(path)
        return path

    return write


@pytest.fixture(scope="session")
def published_heads(golden: Path) -> list[Path]:
    """The fixtures' heads in their published layouts: track 1, track 2, the SongEval baseline."""
    heads = golden / "hear_head"
    return [
        heads / "track1.model.safetensors",
        heads / "track2.model.safetensors",
        golden / "songeval_baseline" / "chain.model.safetensors",
    ]


@pytest.fixture
def command(capsys: pytest.CaptureFixture) -> Callable[..., Outcome]:
    """Runs ``hear-aesthetics`` with these words."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        notes = [line for line in lines if line not in errors]
        return Outcome(int(exit_.value.code or 0), captured.out, errors, notes)

    return run


@pytest.fixture(scope="session")
def write_songeval() -> Callable[..., Path]:
    """Writes a folder in SongEval's layout: clips of different lengths, ratings, systems."""

    def write(folder: Path, songs: int = 12, seconds: float = 1.0, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        rows = []
        for number in range(songs):
            name = f"mp3/{number}.mp3"
            length = seconds + 0.1 * (number % 3)
            write_audio(folder / name, clip(length, seed + number), 24_000)
            raters = [
                {dimension.name: float(rng.integers(1, 6)) for dimension in DIMENSIONS}
                for _ in range(4)
            ]
            rows.append({"file_name": name, "annotation": raters, "system": f"S{number % 3}"})
        lines = [json.dumps(row) + "\n" for row in rows]
        (folder / "metadata.jsonl").write_text("".join(lines))
        return folder

    return write


@pytest.fixture(scope="session")
def prepared(write_songeval, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared set: 12 songs of a second, 8 train, 1 valid, 3 test."""
    root = tmp_path_factory.mktemp("prepared")
    data = read_songeval(write_songeval(root / "songeval"))
    facts = inspect_audio(data.root, [song.name for song in data.songs])
    prepare(data, facts, root / "prepared", Choices())
    return root / "prepared"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts disks of so many kB; skips where that is not allowed."""
    mounted: list[Path] = []

    def mount(kilobytes: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
        try:
            done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("no mount command: disks that fill up cannot be made")
        if done.returncode:
            pytest.skip(f"disks that fill up cannot be made: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)
