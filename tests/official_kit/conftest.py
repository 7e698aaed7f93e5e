"""The official HEAR tools in ``.venv-kit``, and small tasks in HEAR's format to run them on.

The tools need TensorFlow and a pinned Lightning, so they live in an environment of their own
(``make kit``) and are driven as subprocesses, the way a user drives them.
"""

import json
import os
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).parents[2]
KIT_BIN = ROOT / ".venv-kit" / "bin"
EVENT_STAGE = Path(__file__).parent / "predict_events.py"
RATE = 48_000  # Hz, what hear_aesthetics declares
# A dozen clips make one optimizer step per epoch: enough of them to learn something.
FIT = {"lr": [0.01], "max_epochs": [200], "patience": [20], "check_val_every_n_epoch": [10]}
KIT_ENVIRONMENT = {
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",  # heareval pickles its hyper-parameters
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",  # the number of threads is part of heareval's result
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONWARNINGS": "default",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Kit:
    """The official tools, run from ``cwd``: heareval writes ``logs/`` where it is started."""

    cwd: Path

    def run(self, program: str, *arguments: str | Path, path: Path | None = None) -> str:
        """What ``program`` of the kit prints; a non-zero exit fails the test and shows its end.

        ``path`` is put on ``PYTHONPATH``, for modules that are not installed.
        """
        environment = {**os.environ, **KIT_ENVIRONMENT}
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        done = subprocess.run(
            [KIT_BIN / program, *map(str, arguments)],
            cwd=self.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        call = " ".join([program, *map(str, arguments)])
        assert done.returncode == 0, f"`{call}` exited {done.returncode}:\n{done.stdout[-3000:]}"
        return done.stdout

    def embed(
        self, module: str, tasks: Path, *options: str | Path, path: Path | None = None
    ) -> Path:
        """The folder that the embeddings stage writes for all of ``tasks``."""
        out = Path(mkdtemp(prefix="embeddings-", dir=self.cwd))
        stage = ["-m", "heareval.embeddings.runner", module, "--tasks-dir", tasks]
        self.run("python", *stage, "--embeddings-dir", out, *options, path=path)
        (written,) = out.iterdir()
        return written

    def predict(self, embeddings: Path, *, grid: str = "faster", grid_points: int = 1) -> dict:
        """The scores that the predictions stage writes for one task's embeddings."""
        metadata = json.loads((embeddings / "task_metadata.json").read_text())
        released = ["-m", "heareval.predictions.runner"]
        stage = [EVENT_STAGE] if metadata["embedding_type"] == "event" else released
        points = ["--grid", grid, "--grid-points", str(grid_points)]
        self.run("python", *stage, embeddings, *points)
        return json.loads((embeddings / "test.predicted-scores.json").read_text())


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """The official tools; skips without them, fails where ``make kit`` said they are needed."""
    if not (KIT_BIN / "hear-validator").is_file():
        message = "the official HEAR tools are not installed: run `make kit`"
        (pytest.fail if os.environ.get("HEAR_KIT") == "required" else pytest.skip)(message)
    return Kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="session")
def tiny_model(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory made of the tiny parity checkpoints."""
    model = tmp_path_factory.mktemp("tiny")
    files = {
        "muq": [golden / "muq_tiny" / name for name in ("config.json", "model.safetensors")],
        "musicfm": sorted((golden / "musicfm_tiny/musicfm").iterdir()),
    }
    for source, paths in files.items():
        (model / source).mkdir(parents=True)
        for path in paths:
            shutil.copyfile(path, model / source / path.name)
    return model


@pytest.fixture(scope="session")
def trivial_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module ``trivial`` (level statistics): a kit at fault fails on it too."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "trivial.py").write_text(
        textwrap.dedent(
            """
            import torch

            class Levels(torch.nn.Module):
                sample_rate, scene_embedding_size, timestamp_embedding_size = 48000, 3, 3

            def load_model(model_file_path="", scale=1.0):
                model = Levels()
                model.scale = scale
                return model

            def get_timestamp_embeddings(audio, model):
                padded = torch.nn.functional.pad(audio, (960, 960))
                windows = padded.unfold(1, 1920, 1920) * model.scale
                parts = [windows.abs().mean(-1), windows.std(-1), windows.diff().abs().mean(-1)]
                times = 40.0 * torch.arange(windows.shape[1]).expand(len(audio), -1)
                return torch.stack(parts, -1), times

            def get_scene_embeddings(audio, model):
                return get_timestamp_embeddings(audio, model)[0].mean(1)
            """
        )
    )
    return folder


def _clip(label: str, rng: np.random.Generator) -> np.ndarray:
    """One second at 48 kHz that is plainly a tone, noise, or clicks."""
    time = np.arange(RATE) / RATE
    if label == "tone":
        return 0.5 * np.sin(2 * np.pi * rng.uniform(200, 2000) * time)
    if label == "noise":
        return rng.normal(0, 0.1, RATE)
    clicks = np.zeros(RATE)
    clicks[rng.integers(0, RATE, 8)] = 0.9
    return clicks


def _write_task(task: Path, metadata: dict, labels: list[str]) -> None:
    common = {"version": "1.0.0", "mode": "test", "sample_duration": 1.0}
    common |= {"split_mode": "trainvaltest", "splits": ["train", "valid", "test"]}
    task.mkdir(parents=True)
    (task / "task_metadata.json").write_text(json.dumps(common | metadata, indent=1))
    rows = "".join(f"{index},{label}\n" for index, label in enumerate(labels))
    (task / "labelvocabulary.csv").write_text("idx,label\n" + rows)


@pytest.fixture(scope="session")
def scene_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tasks directory with one scene task: 12 / 6 / 6 clips of tones, noise or clicks."""
    rng = np.random.default_rng(0)
    labels = ["clicks", "noise", "tone"]
    task = tmp_path_factory.mktemp("scene_tasks") / "textures-1.0.0-test"
    kind = {"embedding_type": "scene", "prediction_type": "multiclass", "evaluation": ["top1_acc"]}
    grids = {"evaluation_params": {"task_specific_param_grid": FIT}}
    _write_task(task, {"task_name": "textures", **kind, **grids}, labels)
    for split, count in (("train", 12), ("valid", 6), ("test", 6)):
        audio = task / str(RATE) / split
        audio.mkdir(parents=True)
        answers = {}
        for index in range(count):
            label = labels[index % len(labels)]
            name = f"{split}{index:02d}.wav"
            sf.write(audio / name, _clip(label, rng), RATE, subtype="PCM_16")
            answers[name] = [label]
        (task / f"{split}.json").write_text(json.dumps(answers))
    return task.parent


@pytest.fixture(scope="session")
def event_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tasks directory with one event task: tones of 400 ms in quiet noise, 4 / 2 / 2 clips."""
    rng = np.random.default_rng(1)
    task = tmp_path_factory.mktemp("event_tasks") / "beeps-1.0.0-test"
    kind = {"embedding_type": "event", "prediction_type": "multilabel"}
    scores = {"evaluation": ["event_onset_200ms_fms", "segment_1s_er"]}
    # Chosen by loss: while nothing is detected F is NaN, which ends heareval's training at once.
    decoding = {"median_filter_ms": [120], "min_duration": [125]}
    grids = {"task_specific_param_grid": FIT, "event_postprocessing_grid": decoding}
    chosen = {"use_scoring_for_early_stopping": False, "evaluation_params": grids}
    _write_task(task, {"task_name": "beeps", **kind, **scores, **chosen}, ["high", "low"])
    time = np.arange(RATE) / RATE
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        audio = task / str(RATE) / split
        audio.mkdir(parents=True)
        answers = {}
        for index in range(count):
            start = float(rng.integers(100, 500))  # ms
            label, pitch = (("low", 300), ("high", 3000))[index % 2]
            inside = (time * 1000 >= start) & (time * 1000 < start + 400)
            clip = rng.normal(0, 0.01, RATE) + inside * 0.5 * np.sin(2 * np.pi * pitch * time)
            name = f"{split}{index:02d}.wav"
            sf.write(audio / name, clip, RATE, subtype="PCM_16")
            answers[name] = [{"label": label, "start": start, "end": start + 400}]
        (task / f"{split}.json").write_text(json.dumps(answers))
    return task.parent
