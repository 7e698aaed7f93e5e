"""Our evaluator and heareval: either goes on from the other's folders, with the same numbers."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import f1_score

from hear_aesthetics.evaluation import evaluate_embeddings
from hear_aesthetics.evaluation.embeddings.module import HearModule
from hear_aesthetics.evaluation.embeddings.runner import embed_task

pytestmark = [pytest.mark.official_kit, pytest.mark.slow]

KINDS = ("scene", "event")
GRID = {"grid": "faster", "grid_points": 1}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The number of threads is part of heareval's result."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tasks(scene_task: Path, event_task: Path) -> dict[str, Path]:
    """One task folder per kind."""
    return {"scene": next(scene_task.iterdir()), "event": next(event_task.iterdir())}


@pytest.fixture(scope="module")
def heard(kit, tasks, trivial_module: Path) -> dict[str, Path]:
    """Embedding folders that heareval wrote."""
    return {
        kind: kit.embed("trivial", task.parent, path=trivial_module) / task.name
        for kind, task in tasks.items()
    }


@pytest.fixture(scope="module")
def ours(tasks, trivial_module: Path, tmp_path_factory) -> dict[str, Path]:
    """Embedding folders that we wrote, of the same module and tasks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(trivial_module)
        module = HearModule("trivial")
    out = tmp_path_factory.mktemp("ours")
    return {kind: embed_task(module, task, out) for kind, task in tasks.items()}


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / folder.parent.name / folder.name))


@pytest.mark.parametrize("kind", KINDS)
def test_both_kits_write_the_same_rows_labels_and_times(heard, ours, kind) -> None:
    assert ours[kind].parent.name == heard[kind].parent.name == "trivial"
    for split in ("train", "valid", "test"):
        shapes = [(f[kind] / f"{split}.embedding-dimensions.json") for f in (heard, ours)]
        assert json.loads(shapes[0].read_text()) == json.loads(shapes[1].read_text())
        rows = [np.fromfile(f[kind] / f"{split}.embeddings.npy", "f4") for f in (heard, ours)]
        np.testing.assert_allclose(rows[1], rows[0], rtol=1e-5, atol=1e-7)
        labels = [
            pickle.loads((f[kind] / f"{split}.target-labels.pkl").read_bytes())
            for f in (heard, ours)
        ]
        if kind == "scene":
            assert labels[1] == labels[0]
            continue
        assert [sorted(at) for at in labels[1]] == [sorted(at) for at in labels[0]]
        stamps = [
            json.loads((f[kind] / f"{split}.filename-timestamps.json").read_text())
            for f in (heard, ours)
        ]
        assert [[Path(p).name, t] for p, t in stamps[1]] == [
            [Path(p).name, t] for p, t in stamps[0]
        ]


def test_both_kits_write_the_same_files(heard, ours) -> None:
    for kind in KINDS:
        theirs, mine = (
            {p.relative_to(f[kind]).as_posix() for p in f[kind].rglob("*") if p.is_file()}
            for f in (heard, ours)
        )
        assert theirs <= mine
        assert mine - theirs == {"origin.embeddings.json"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("writer", ["heard", "ours"])
def test_each_kit_scores_the_folders_of_the_other_alike(
    kit, request, tmp_path: Path, kind: str, writer: str
) -> None:
    folder = request.getfixturevalue(writer)[kind]
    official = kit.predict(copied(folder, tmp_path / "kit"))
    found = evaluate_embeddings(
        copied(folder, tmp_path / "own"), protocol="official", **GRID
    ).scores
    assert set(found["test"]) == set(official["test"])
    assert found["postprocessing"] == official["postprocessing"]
    for key, value in official["test"].items():
        if key != "time_in_min":
            assert found["test"][key] == pytest.approx(value, abs=1e-6, nan_ok=True), key


@pytest.mark.parametrize("kind", KINDS)
def test_the_robust_protocol_takes_what_heareval_wrote(heard, tmp_path: Path, kind: str) -> None:
    folder = copied(heard[kind], tmp_path)
    found = evaluate_embeddings(folder, seeds=2, precision="float32", device="cpu", **GRID).scores
    interval = found["robust"]["interval"]
    if kind == "scene":
        assert interval[0] <= found["robust"]["mean"] <= interval[1]
    else:
        assert interval is None, "a few files with events do not tell one"
    assert found["robust"]["mean"] > 0.5


def test_folders_of_options_are_named_as_heareval_names_them(kit, trivial_module: Path) -> None:
    source = "from slugify import slugify; import json, sys; "
    source += "print(json.dumps([slugify(text) for text in json.loads(sys.argv[1])]))"
    values = [
        "sample_rate",
        "mean+std",
        "2.0",
        "1,000",
        "True",
        "['muq']",
        "naïve!",
        "a__b",
        "l'été",
    ]
    slugs = json.loads(kit.run("python", "-c", source, json.dumps(values)))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(trivial_module)
        for value, slug in zip(values, slugs, strict=True):
            assert (
                HearModule("trivial", None, {"scale": value}).folder_name == f"trivial-scale={slug}"
            )


@pytest.fixture(scope="module")
def song_embeddings(kit, tmp_path_factory) -> Path:
    """SongEval as a HEAR task: synthetic songs, embedded by heareval with the bundled model."""
    folder = tmp_path_factory.mktemp("songs")
    for words in (
        "synthesize songs --songs 48 --seconds 10-14",
        "prepare songs --out prepared --test-songs 12 --valid-fraction 0.2",
        "hear-task prepared --out tasks",
    ):
        subprocess.run(
            [sys.executable, "-m", "hear_aesthetics", "songeval", *words.split()],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            check=True,
        )
    (written,) = kit.embed("hear_aesthetics", folder / "tasks").iterdir()
    return written


def test_our_probe_rates_songs_that_heareval_embedded(song_embeddings, tmp_path: Path) -> None:
    folder = copied(song_embeddings, tmp_path)
    options = {"seeds": 2, "grid_points": 4, "precision": "float32", "device": "cpu"}
    scores = evaluate_embeddings(folder, **options).scores
    metadata = json.loads((folder / "task_metadata.json").read_text())
    thresholds = metadata["evaluation_params"]["top_tier_thresholds"]
    names = (folder / "labelvocabulary.csv").read_text().split()[1:]
    for run, file in (("test", "test"), ("test.seed1", "test.seed1")):
        written = pickle.loads((folder / f"{file}.predictions.pkl").read_bytes())
        preds, target = (written[key].double().numpy().T for key in ("prediction", "target"))
        for index, (p, t) in enumerate(zip(preds, target, strict=True)):
            name, threshold = names[index].split(",")[1], thresholds[index]
            expected = {
                "lcc": stats.pearsonr(p, t).statistic,
                "srcc": stats.spearmanr(p, t).statistic,
                "ktau": stats.kendalltau(p, t).statistic,
                "tta": f1_score(t >= threshold, p >= threshold, zero_division=0),
            }
            for score, value in expected.items():
                found = scores[run][f"test_{score}_{name}"]
                assert found == pytest.approx(value, abs=1e-6), (run, score, name)
    # how clearly layers are separated is the plainest of the five in untrained features
    assert scores["aggregated_scores"]["test_lcc_Clarity_mean"] > 0.4


def test_shuffled_ratings_leave_nothing_to_predict(song_embeddings, tmp_path: Path) -> None:
    folder = copied(song_embeddings, tmp_path)
    generator = np.random.default_rng(0)
    for split in ("train", "valid"):  # the test songs keep theirs
        path = folder / f"{split}.target-labels.pkl"
        labels = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps([labels[i] for i in generator.permutation(len(labels))]))
    learnt = evaluate_embeddings(copied(song_embeddings, tmp_path / "true"), seeds=2, grid_points=4)
    shuffled = evaluate_embeddings(folder, seeds=2, grid_points=4)
    assert shuffled.score < learnt.score - 0.2
