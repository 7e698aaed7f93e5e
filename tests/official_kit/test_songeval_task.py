"""The folder of ``songeval hear-task`` under heareval's embeddings runner."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

import hear_aesthetics
from hear_aesthetics.audio.saving import write_audio
from songeval_task.data.dataset import read_songeval
from songeval_task.data.hear_task import task_folder, write_task
from songeval_task.data.preparation import Choices, inspect_audio, prepare
from songeval_task.dimensions import DIMENSIONS, TRACKS

pytestmark = [pytest.mark.official_kit, pytest.mark.slow]

RATE = 24_000
COUNTS = {"train": 4, "valid": 2, "test": 2}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both tracks' tasks from eight short songs of different lengths."""
    root = tmp_path_factory.mktemp("songeval")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(sum(COUNTS.values())):
        name = f"mp3/{number}.mp3"
        write_audio(root / name, 0.1 * rng.standard_normal(RATE + 777 * number), RATE)
        rating = {dimension.name: float(rng.integers(1, 6)) for dimension in DIMENSIONS}
        rows.append(json.dumps({"file_name": name, "annotation": [rating]}))
    (root / "metadata.jsonl").write_text("\n".join(rows))
    data = read_songeval(root)
    facts = inspect_audio(root, [song.name for song in data.songs])
    choices = Choices(test_songs=COUNTS["test"], valid_fraction=1 / 3)
    prepared, _ = prepare(data, facts, root / "prepared", choices)
    for track in TRACKS.values():
        list(write_task(prepared, root / "tasks", track))
    return root / "tasks"


@pytest.fixture(scope="module")
def embeddings(kit, tasks: Path) -> Path:
    """What the official runner stores with the bundled model."""
    return kit.embed("hear_aesthetics", tasks)


@pytest.mark.parametrize("track", TRACKS.values(), ids=list(TRACKS))
def test_runner_takes_the_task_and_keeps_the_ratings(embeddings, tasks, track) -> None:
    task = task_folder(tasks, track)
    stored = embeddings / task.name
    assert (stored / ".done.embeddings").exists()
    for split, count in COUNTS.items():
        rows, dim = json.loads((stored / f"{split}.embedding-dimensions.json").read_text())
        assert (rows, dim) == (count, 2560)
        expected = json.loads((task / f"{split}.json").read_text())
        labels = pickle.loads((stored / f"{split}.target-labels.pkl").read_bytes())
        assert sorted(labels) == sorted(expected.values())
        assert {len(row) for row in labels} == {len(track.names)}


def test_runner_reads_the_flac_files_as_we_do(embeddings, tasks) -> None:
    task = task_folder(tasks, TRACKS["track2"])
    model = hear_aesthetics.load_model()
    stored = sorted((embeddings / task.name / "test").glob("*.embedding.npy"))
    assert len(stored) == COUNTS["test"]
    for path in stored:
        name = path.name.removesuffix(".embedding.npy")
        audio, _ = sf.read(task / "48000/test" / name, dtype="float32")
        ours = hear_aesthetics.get_scene_embeddings(torch.from_numpy(audio)[None], model)
        np.testing.assert_allclose(np.load(path), ours[0].numpy(), rtol=1e-3, atol=1e-4)
