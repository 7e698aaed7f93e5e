"""``hear-aesthetics evaluate``: any module, any folder of tasks; killed or broken, it goes on."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile

import hear_aesthetics
from hear_aesthetics.cli import main
from hear_aesthetics.commands.evaluate_embeddings import GridOption, ProtocolOption
from hear_aesthetics.commands.options import PrecisionOption
from hear_aesthetics.compute.precision import PRECISIONS
from hear_aesthetics.evaluation.pipeline import PROTOCOLS
from hear_aesthetics.evaluation.probes.grid import GRIDS

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
    def choices(option):
        return get_args(get_args(option)[0])

    assert choices(ProtocolOption) == PROTOCOLS
    assert choices(GridOption) == tuple(GRIDS)
    assert choices(PrecisionOption) == tuple(PRECISIONS)


def test_a_module_beside_the_tasks_is_evaluated_on_all_of_them(evaluate, tasks, tmp_path):
    code, out, err = evaluate(tasks, "--out", "out", "--module", "levels_of_evaluate", *QUICK)
    assert (code, err) == (0, [])
    assert out == [
        "esc50-2.0.0-full  top1_acc 1.000 [0.476, 1.000]",
        "noise-1.0.0-full  top1_acc 1.000 [0.476, 1.000]",
    ]
    folder = tmp_path / "out/levels_of_evaluate/noise-1.0.0-full"
    assert (folder / "test.robust-scores.json").is_file()
    stated = json.loads((folder / "test.robust-scores.json").read_text())["protocol"]
    assert (stated["name"], stated["seeds"], stated["grid_points"]) == ("robust", 2, 2)


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
    t = 2.5706  # quantile of Student's t; six clips, all right, have Wilson's n / (n + t^2)
    assert row["interval"] == pytest.approx([6 / (6 + t**2), 1], abs=1e-4)
    assert row["origin"]["module"] == "levels_of_evaluate"


def test_a_broken_task_costs_a_line_and_the_others_are_evaluated(evaluate, tasks):
    (tasks / "esc50-2.0.0-full/labelvocabulary.csv").write_text("idx,label\n0,loud\n")
    code, out, err = evaluate(tasks, "--out", "out", "--module", "levels_of_evaluate", *QUICK)
    assert code == 3
    assert len(out) == len(err) == 1
    assert err[0].startswith("error: ")
    assert "train.json: key 'train1.wav': label 'soft' is not in labelvocabulary.csv" in err[0]


VOCABULARY, METADATA = "labelvocabulary.csv", "task_metadata.json"


def stored(name, content):
    """Damage: a file holds these bytes."""
    return lambda task: (task / name).write_bytes(content)


def metadata(**changes):
    """Damage: keys of the metadata."""

    def change(task):
        path = task / METADATA
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def grid(**lists):
    """Damage: the task's own grid."""
    return metadata(evaluation_params={"task_specific_param_grid": lists})


def named(name):
    """Damage: the first test file has this name."""

    def change(task):
        labels = json.loads((task / "test.json").read_text())
        labels[name] = labels.pop("test0.wav")
        (task / "test.json").write_text(json.dumps(labels))

    return change


def folder_in_place_of(name):
    """Damage: a folder where a file should be."""

    def change(task):
        (task / name).unlink()
        (task / name).mkdir()

    return change


DAMAGES = {
    "latin-metadata": stored(METADATA, b'{"task_name": "\xe9"}'),
    "latin-vocabulary": stored(VOCABULARY, b"idx,label\n0,\xe9\n"),
    "metadata-folder": folder_in_place_of(METADATA),
    "vocabulary-folder": folder_in_place_of(VOCABULARY),
    "deep": stored(METADATA, b"[" * 100_000),
    "split-missing": lambda task: (task / "valid.json").unlink(),
    "clip-missing": lambda task: (task / "16000/test/test3.wav").unlink(),
    "infinite-index": stored(VOCABULARY, b"idx,label\ninf,loud\n"),
    "wide-field": stored(VOCABULARY, b"idx,label\n0," + b"x" * 140_000 + b"\n"),
    "no-label": stored(VOCABULARY, b"idx,label\n0,loud\n1\n"),
    "thresholds": metadata(evaluation_params={"top_tier_thresholds": 5}),
    "huge-thresholds": metadata(evaluation_params={"top_tier_thresholds": [10**400]}),
    "huge-duration": metadata(sample_duration=10**400),
    "grid-text": grid(lr=["x"]),
    "grid-infinite": grid(lr=[float("inf")]),
    "grid-zero": grid(batch_size=[0]),
    "grid-never": grid(check_val_every_n_epoch=[0]),
    "grid-wide": grid(hidden_dim=[10**9]),
    "grid-dropout": grid(dropout=[2]),
    "long-name": named("x" * 300 + ".wav"),
    "no-unicode": named("\ud800.wav"),
    "up": named("../../../../evil.wav"),
    "absolute": named("/evil.wav"),
    "evil-split": metadata(splits=["train", "valid", "test", "../evil"]),
    "absolute-split": metadata(splits=["train", "valid", "test", "/evil"]),
    "strange-rate": lambda task: (task / "16000").rename(task / "²"),
}


@pytest.mark.parametrize("protocol", ["robust", "official"])
def test_broken_tasks_cost_a_line_each_and_the_others_run(evaluate, tasks, tmp_path, protocol):
    shutil.rmtree(tasks / "esc50-2.0.0-full")
    for name, damage in DAMAGES.items():
        damage(shutil.copytree(tasks / "noise-1.0.0-full", tasks / name))
    before = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    words = [tasks, "--out", "out", "--module", "levels_of_evaluate", "--protocol", protocol]
    code, out, err = evaluate(*words, *QUICK)
    assert code == 3
    assert [line.split()[0] for line in out] == ["noise-1.0.0-full"]
    assert all(line.startswith("error: ") and "unexpected" not in line for line in err), err
    named = [name for name in DAMAGES if any(f"tasks/{name}/" in line for line in err)]
    assert (named, len(err)) == (list(DAMAGES), len(DAMAGES))
    after = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    assert after == before, "written outside OUT"


def test_broken_tasks_cost_the_list_a_line_each(evaluate, tasks):
    whole = {"clip-missing", "strange-rate"}  # metadata and labels are fine
    for name, damage in DAMAGES.items():
        damage(shutil.copytree(tasks / "noise-1.0.0-full", tasks / name))
    code, out, err = evaluate(tasks, "--list", "--json")
    assert code == 0
    found = {row["task"] for row in json.loads("\n".join(out)) if row["here"]}
    assert found == {"ESC-50", "noise-1.0.0-full"} | whole
    assert len([line for line in err if line.startswith("warning: ")]) == len(DAMAGES) - len(whole)


def test_what_a_module_prints_is_no_part_of_the_json(evaluate, tasks):
    source = Path("levels_of_evaluate.py").read_text()
    Path("loud_levels.py").write_text(
        source.replace("    return", "    print('loud')\n    return") + "\nprint('imported')\n"
    )
    words = ["--out", "out", "--module", "loud_levels", "--task", "esc50", "--json", *QUICK]
    code, out, err = evaluate(tasks, *words)
    assert (code, len(json.loads("\n".join(out)))) == (0, 1)
    assert {"imported", "loud"} <= set(err)


def test_a_score_that_is_undefined_is_said(evaluate, tasks):
    task = tasks / "esc50-2.0.0-full"
    metadata = json.loads((task / "task_metadata.json").read_text())
    metadata |= {"prediction_type": "multilabel", "evaluation": ["mAP"]}
    (task / "task_metadata.json").write_text(json.dumps(metadata))
    labels = json.loads((task / "test.json").read_text())
    (task / "test.json").write_text(json.dumps({name: [] for name in labels}))
    words = ["--out", "out", "--module", "levels_of_evaluate", "--task", "esc50", *QUICK]
    code, _, err = evaluate(tasks, *words)
    assert code == 0
    assert any(line.startswith("warning: ") and "mAP is undefined" in line for line in err)


def test_resampling_is_said_in_a_plain_line(evaluate, tasks):
    task = tasks / "esc50-2.0.0-full"
    (task / str(RATE)).rename(task / "22050")
    words = ["--out", "out", "--module", "levels_of_evaluate", "--task", "esc50", *QUICK]
    _, _, err = evaluate(tasks, *words)
    assert err == [f"{task}: 18 files are resampled, once"]
    assert evaluate(tasks, *words)[2] == []


def test_another_protocol_leaves_the_scores_of_the_first(evaluate, tasks, tmp_path, monkeypatch):
    words = [tasks, "--out", "out", "--module", "levels_of_evaluate", "--task", "esc50", *QUICK]
    _, first, _ = evaluate(*words)
    folder = tmp_path / "out/levels_of_evaluate/esc50-2.0.0-full"
    scores = (folder / "test.robust-scores.json").read_bytes()
    evaluate(*words, "--protocol", "official")
    (kept,) = folder.glob("robust-*.test.robust-scores.json")
    assert kept.read_bytes() == scores
    monkeypatch.setattr("hear_aesthetics.evaluation.pipeline.evaluate_robustly", None)
    _, again, err = evaluate(*words)
    assert (again, err) == (first, []), "trained again"


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
    assert err == ["warning: model mini is untrained: its numbers show what random weights reach"]


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
    """Two real tasks, unpacked as they come, in two copies."""
    for copy in ("whole", "killed"):
        for archive in REAL.values():
            with tarfile.open(shared / f"hear/tasks/{archive}.tar.gz") as file:
                file.extractall(tmp_path / copy / "tasks", filter="data")
    return tmp_path


@pytest.fixture
def files_below():
    """A function: every file below a folder and when it was written."""

    def list_(folder):
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    return list_


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


REGISTERED = """
import json, pathlib, sys
from hear_aesthetics.checkpoints import CHECKPOINTS
from hear_aesthetics.checkpoints.registry import Checkpoint, RemoteFile
from hear_aesthetics.cli import main

known = json.loads(pathlib.Path("registered.json").read_text())
files = tuple(RemoteFile(*file) for file in known.pop("files"))
CHECKPOINTS["served-part"] = Checkpoint("served-part", "encoder", "", files, **known)
CHECKPOINTS["served"] = Checkpoint("served", "model", "", parts=("served-part",))
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_first_run_with_a_download_is_killed_and_goes_on_from_the_cache(
    fake_hub, tiny, tasks, tmp_path, files_below
):
    bundled = Path(hear_aesthetics.__file__).parent / "weights/mini-0.1/muq"
    names = ("config.json", "model.safetensors")
    fake_hub.files = {name: (bundled / name).read_bytes() for name in names}
    files = [(n, len(b), hashlib.sha256(b).hexdigest()) for n, b in fake_hub.files.items()]
    registered = {"files": files, "repo": tiny.repo, "revision": tiny.revision, "folder": "muq"}
    (tmp_path / "registered.json").write_text(json.dumps(registered))
    (tmp_path / "run.py").write_text(REGISTERED)
    words = [
        tasks,
        "--out",
        "out",
        "--model",
        "served",
        "--model-options",
        '{"sources": ["muq"], "layer": 3}',
    ]
    command = [sys.executable, "run.py", "evaluate", *map(str, words), *QUICK, "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, env=environment)
    out = tmp_path / "out"
    while not (finished := list(out.glob("*/esc50*/prediction-done.json"))):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(list(out.glob("*/*/prediction-done.json"))) == 1
    assert {name for name, _ in fake_hub.downloads()} >= set(names)
    folder = finished[0].parent
    assert "hub" in (folder / "origin.embeddings.json").read_text()
    before, asked = files_below(folder), len(fake_hub.downloads())
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stderr
    assert len(fake_hub.downloads()) == asked, "downloaded again"
    assert files_below(folder) == before, "made again"
    record = next(out.glob("*/noise*/origin.embeddings.json")).read_text()
    assert "cache" in record
