"""``hear-aesthetics evaluate``: any module, any folder of tasks; killed or broken, it goes on."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.cli import main
from hear_aesthetics.commands import probing
from hear_aesthetics.evaluation.grid import GRIDS
from hear_aesthetics.evaluation.pipeline import PRECISIONS, PROTOCOLS

QUICK = ["--grid", "faster", "--grid-points", "2", "--seeds", "2", "--precision", "float32"]
RATE = 16_000
MODULE = """
import torch
class Levels(torch.nn.Module):
    sample_rate, scene_embedding_size, timestamp_embedding_size = 16000, 2, 2
def load_model(model_file_path="", gain=1.0):
    return Levels()
def get_scene_embeddings(audio, model):
    if len(audio) < 3:
        raise RuntimeError("needs company")
    return torch.stack([audio.std(1), audio.diff().std(1)], 1)
def get_timestamp_embeddings(audio, model):
    raise NotImplementedError
"""


@pytest.fixture
def evaluate(capsys):
    """Runs the command; its exit code, lines of stdout and lines of stderr."""

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(["evaluate", *map(str, words)])
        captured = capsys.readouterr()
        return int(exit_.value.code or 0), captured.out.splitlines(), captured.err.splitlines()

    return run


def write_task(folder: Path, clips: int = 6) -> Path:
    """A task of loud and soft noise, with its audio."""
    metadata = {"task_name": folder.name.split("-")[0], "embedding_type": "scene"}
    metadata |= {"prediction_type": "multiclass", "split_mode": "trainvaltest", "mode": "full"}
    metadata |= {"splits": ["train", "valid", "test"], "sample_duration": 0.2}
    metadata |= {"evaluation": ["top1_acc"], "evaluation_params": {}}
    folder.mkdir(parents=True)
    (folder / "task_metadata.json").write_text(json.dumps(metadata))
    (folder / "labelvocabulary.csv").write_text("idx,label\n0,loud\n1,soft\n")
    generator = np.random.default_rng(0)
    for split in metadata["splits"]:
        labels = {f"{split}{i}.wav": [("loud", "soft")[i % 2]] for i in range(clips)}
        (folder / f"{split}.json").write_text(json.dumps(labels))
        for name, (label,) in labels.items():
            path = folder / str(RATE) / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = generator.normal(0, {"loud": 0.2, "soft": 0.02}[label], RATE // 5)
            soundfile.write(path, noise, RATE, subtype="PCM_16")
    return folder


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """A folder of two tasks, one of them with a published name; a module beside it."""
    (tmp_path / "levels_of_evaluate.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    write_task(tmp_path / "tasks/esc50-2.0.0-full")
    return write_task(tmp_path / "tasks/noise-1.0.0-full").parent


def test_choices_are_those_of_the_library():
    assert tuple(probing.ProtocolName) == PROTOCOLS
    assert list(probing.GridName) == list(GRIDS)
    assert list(probing.PrecisionName) == list(PRECISIONS)


def test_a_module_beside_the_tasks_is_evaluated_on_all_of_them(evaluate, tasks, tmp_path):
    code, out, err = evaluate(tasks, "--out", "out", "--module", "levels_of_evaluate", *QUICK)
    assert (code, err) == (0, [])
    assert out == [
        "esc50-2.0.0-full  top1_acc 1.000 [1.000, 1.000]",
        "noise-1.0.0-full  top1_acc 1.000 [1.000, 1.000]",
    ]
    folder = tmp_path / "out/levels_of_evaluate/noise-1.0.0-full"
    assert (folder / "test.robust-scores.json").is_file()
    stated = json.loads((folder / "test.robust-scores.json").read_text())["protocol"]
    assert (stated["name"], stated["seeds"], stated["grid_points"]) == ("robust", 2, 2)


def test_progress_is_drawn_on_a_terminal_only(capsys, monkeypatch):
    with probing.Bar("esc50") as bar:
        bar.stage("embedding")(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with probing.Bar("esc50") as bar:
        bar.stage("embedding")(1, 2)
        bar.stage("training probes")(3, 4)
    drawn = capsys.readouterr().err
    assert "esc50: training probes" in drawn
    assert "3/4" in drawn


@pytest.mark.parametrize("name", ["esc50", "ESC-50", "esc50-2.0.0-full"])
def test_a_task_is_chosen_by_any_of_its_names(evaluate, tasks, name):
    words = ["--out", "out", "--module", "levels_of_evaluate", "--task", name]
    code, out, _ = evaluate(tasks, *words, "--protocol", "official", *QUICK)
    assert (code, len(out)) == (0, 1)
    assert re.fullmatch(r"esc50-2\.0\.0-full  top1_acc \d\.\d{3}", out[0]), "no interval"


def test_results_can_be_read_by_a_program(evaluate, tasks):
    words = ["--out", "out", "--module", "levels_of_evaluate", "--task", "esc50", "--json"]
    _, out, _ = evaluate(tasks, *words, *QUICK)
    (row,) = json.loads("\n".join(out))
    assert (row["task"], row["score_name"], row["score"]) == ("ESC-50", "top1_acc", 1)
    assert row["interval"] == [1, 1]
    assert row["origin"]["module"] == "levels_of_evaluate"


def test_a_broken_task_costs_a_line_and_the_others_are_evaluated(evaluate, tasks):
    (tasks / "esc50-2.0.0-full/labelvocabulary.csv").write_text("idx,label\n0,loud\n")
    code, out, err = evaluate(tasks, "--out", "out", "--module", "levels_of_evaluate", *QUICK)
    assert code == 3
    assert len(out) == len(err) == 1
    assert err[0].startswith("error: ")
    assert "train.json: key 'train1.wav': label 'soft' is not in labelvocabulary.csv" in err[0]


def test_a_module_that_raises_in_the_middle_is_one_line_and_keeps_what_is_finished(
    evaluate, tasks, tmp_path
):
    short = tasks / "esc50-2.0.0-full" / str(RATE) / "valid/valid0.wav"
    soundfile.write(short, np.zeros(RATE // 10), RATE, subtype="PCM_16")
    words = ["--out", "out", "--module", "levels_of_evaluate", "--task", "esc50", *QUICK]
    code, out, err = evaluate(tasks, *words)
    assert (code, out) == (1, [])
    assert err == [
        "error: levels_of_evaluate.get_scene_embeddings failed on valid0.wav: "
        "RuntimeError: needs company"
    ]
    folder = tmp_path / "out/levels_of_evaluate/esc50-2.0.0-full"
    assert len(list(folder.rglob("*.embedding.npy"))) == 6 + 5


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["tasks"], 2, "TASKS_DIR and --out are needed"),
        (["tasks", "--out", "o", "--task", "x"], 2, "no task 'x'; there are esc50-2.0.0-full, noi"),
        (["tasks", "--out", "o", "--model-options", "{"], 2, "--model-options is not JSON"),
        (["tasks", "--out", "o", "--module", "nowhere"], 1, "cannot import nowhere"),
        (["tasks", "--out", "o", "--model-options", '{"colour": 1}'], 2, "load_model refused"),
        (["empty", "--out", "o"], 1, "empty: no task in it"),
        (["tasks", "--out", "o", "--grid", "huge"], 2, "'huge' is not one of"),
        (["tasks", "--out", "o", "--seeds", "0"], 2, "Invalid value for '--seeds'"),
    ],
)
def test_wrong_usage_is_said_in_words(evaluate, tasks, tmp_path, words, code, message):
    (tmp_path / "empty").mkdir()
    module = [] if "--module" in words else ["--module", "levels_of_evaluate"]
    found, _, err = evaluate(*words, *module)
    text = " ".join(" ".join(err).replace("│", " ").split())
    assert (found, message in text) == (code, True), text


def test_an_untrained_model_is_said(evaluate, tasks):
    module = Path("levels_of_evaluate.py")
    provenance = "Levels.provenance = lambda self: {'model': 'mini', 'status': 'untrained'}"
    Path("untrained_levels.py").write_text(f"{module.read_text()}\n{provenance}\n")
    words = ["--out", "out", "--module", "untrained_levels", "--task", "esc50", *QUICK]
    _, _, err = evaluate(tasks, *words)
    assert err == ["warning: model mini is untrained: its scores show what random features reach"]


def test_embeddings_below_the_tasks_are_no_tasks(evaluate, tasks):
    words = ["--out", tasks / "out", "--module", "levels_of_evaluate", *QUICK]
    assert len(evaluate(tasks, *words)[1]) == 2
    assert len(evaluate(tasks, *words)[1]) == 2


def test_the_list_shows_nineteen_tasks_and_what_is_here(evaluate, tasks):
    code, out, _ = evaluate(tasks, "--list", "--json")
    rows = json.loads("\n".join(out))
    assert (code, len(rows)) == (0, 20)
    here = {row["task"]: row["here"] for row in rows if row["here"]}
    assert here["ESC-50"] == [f"{tasks / 'esc50-2.0.0-full'} (16000)"]
    assert list(here) == ["ESC-50", "noise-1.0.0-full"]
    assert rows[-1]["clips"] == 18
    _, lines, err = evaluate("--list")
    assert len(lines) == 20
    assert "dcase2016_task2" in lines[1]
    assert err[0].startswith("19 of the benchmark's 19 tasks are not here: untar")


REAL = {
    "speech_commands_pooled-1.0.0-small": "speech_commands_pooled-1.0.0-small-16000",
    "spoken_digit-1.0.9-small": "hear-2021.0.6-spoken_digit-1.0.9-small-44100",
}


@pytest.fixture
def real_tasks(shared, tmp_path):
    """Two real tasks, untarred as they come, in two copies."""
    for copy in ("whole", "killed"):
        for archive in REAL.values():
            with tarfile.open(shared / f"hear/tasks/{archive}.tar.gz") as file:
                file.extractall(tmp_path / copy / "tasks", filter="data")
    return tmp_path


def without_times(value):
    """A JSON value less what names times and places."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not k.startswith(("time_in", "embedding_path"))}
        return {key: without_times(item) for key, item in kept.items()}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def scores_below(folder: Path) -> dict[str, object]:
    found = sorted(folder.rglob("test.*-scores.json"))
    return {str(p.relative_to(folder)): without_times(json.loads(p.read_text())) for p in found}


@pytest.mark.slow
def test_real_tasks_killed_at_random_and_resumed_give_the_same_result(real_tasks):
    whole, killed = real_tasks / "whole", real_tasks / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "hear_aesthetics", "evaluate", "tasks", "--out", "out", *QUICK]

    def start(folder):
        return subprocess.Popen(command, cwd=folder, env=environment)

    begun = time.monotonic()
    assert start(whole).wait() == 0
    seconds = time.monotonic() - begun
    expected = scores_below(whole / "out")
    assert {Path(name).parent.name for name in expected} == set(REAL)
    generator, kills = random.Random(0), 0
    for _ in range(5):
        process = start(killed)
        try:
            process.wait(generator.uniform(0.2, 0.7) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    assert kills, "the command was always faster than the killer"
    assert start(killed).wait() == 0
    assert scores_below(killed / "out") == expected
    for path in sorted((whole / "out").rglob("*.embeddings.npy")):
        twin = killed / path.relative_to(whole)
        assert twin.read_bytes() == path.read_bytes(), path.name
    assert not list(killed.rglob("out/**/*.partial"))
