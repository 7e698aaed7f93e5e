"""mteb runs our encoder and our SongEval task, and the leaderboard reads what it writes."""

import json

import numpy as np
import pytest
import soundfile as sf

from hear_aesthetics.adapters.mteb import load_encoder, main, model_meta
from hear_aesthetics.evaluation.results.leaderboard import collect_results
from hear_aesthetics.model import load_model
from songeval_task.adapters.mteb import songeval
from songeval_task.data.dataset import read_songeval
from songeval_task.data.preparation import Choices, inspect_audio, prepare
from songeval_task.dimensions import DIMENSIONS

pytestmark = [pytest.mark.judges, pytest.mark.filterwarnings("default")]

RATE = 24_000


@pytest.fixture(scope="module")
def mteb(judge):
    return judge("mteb")


@pytest.fixture(scope="module")
def encoder(mteb):
    return model_meta("mini").load_model(device="cpu")


@pytest.fixture(scope="module")
def noise():
    """Noise of different lengths and loudness, ``(samples,)`` each."""
    rng = np.random.default_rng(0)
    lengths = [0.5, 1.0, 0.5, 0.02, 0.7, 1.0, 0.5, 1.2]
    return [rng.uniform(0.01, 0.2) * rng.standard_normal(round(s * RATE)) for s in lengths]


def test_every_audio_task_of_the_mock_run_is_a_result(mteb, encoder):
    """Protects against tasks that are skipped: ``all_passed`` counts these as passed."""
    from mteb.mocks import ALL_MOCK_TASK_TEST_GRID
    from mteb.results import TaskResult

    tasks = [t.metadata for t in ALL_MOCK_TASK_TEST_GRID if t.metadata.modalities == ["audio"]]
    assert len(tasks) >= 7
    run = mteb.mock_run(encoder)
    assert {t.name: run[t.name] for t in tasks if not isinstance(run[t.name], TaskResult)} == {}


def test_a_batch_of_mixed_lengths_equals_one_by_one(mteb, encoder, noise, judge):
    """Protects the promise that no embedding depends on the clips beside it."""
    from torch.utils.data import DataLoader

    datasets = judge("datasets")
    rows = [{"array": clip, "sampling_rate": RATE} for clip in noise]
    dataset = datasets.Dataset.from_dict({"audio": rows}).cast_column("audio", datasets.Audio())
    task = {"task_metadata": mteb.get_task("GTZANGenre").metadata, "hf_split": "train"}

    def encode(part, batch_size):
        loader = DataLoader(part, batch_size=batch_size, collate_fn=list)
        return encoder.encode(loader, hf_subset="default", show_progress_bar=False, **task)

    together = encode(dataset, 32)
    alone = np.concatenate([encode(dataset.select([n]), 1) for n in range(len(noise))])
    assert together.dtype == np.float32
    assert together.shape == (len(noise), 2560)
    difference = np.abs(together - alone).max()
    assert difference <= 1e-5, difference


@pytest.mark.parametrize("name", ["mini", "mini-0.1", "mini-0.2", "large"])
def test_the_facts_about_a_model_are_valid(mteb, name):
    """Protects a contribution from metadata that mteb refuses."""
    meta = model_meta(name)
    assert meta.name == f"hear-aesthetics/{name}"
    assert meta.revision
    assert meta.to_python().startswith("ModelMeta(")


def test_the_facts_about_the_bundled_model_are_true(mteb, encoder):
    """Protects the stated size and width from a change of the weights."""
    meta = model_meta("mini")
    whole = load_model("mini", layer=encoder.model.depth("muq"), device="cpu")
    assert meta.n_parameters == sum(weight.numel() for weight in whole.parameters())
    assert meta.embed_dim == encoder.model.scene_embedding_size


def test_a_model_directory_has_a_revision_of_its_weights(mteb, tiny_model_directory):
    """Protects the results of one training from being taken for those of the next."""
    before = model_meta(str(tiny_model_directory))
    assert before.name == "local/tiny"
    settings = tiny_model_directory / "hear_aesthetics.json"
    settings.write_text('{"layer": 1}')
    try:
        assert model_meta(str(tiny_model_directory)).revision != before.revision
        assert load_encoder(model=str(tiny_model_directory), device="cpu").model.config.layer == 1
    finally:
        settings.unlink()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared set of 12 songs in SongEval's layout, whose ratings follow their loudness."""
    root = tmp_path_factory.mktemp("songeval")
    rng = np.random.default_rng(0)
    rows = []
    (root / "mp3").mkdir()
    for number in range(12):
        level = number % 5
        clip = 0.01 * 2.0**level * rng.standard_normal(RATE + 2400 * (number % 3))
        sf.write(root / f"mp3/{number}.mp3", clip, RATE)
        raters = [{d.name: float(level + 1) for d in DIMENSIONS} for _ in range(2)]
        rows.append({"file_name": f"mp3/{number}.mp3", "annotation": raters})
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read_songeval(root)
    prepare(data, inspect_audio(root, [s.name for s in data.songs]), root / "prepared", Choices())
    return root / "prepared"


@pytest.fixture(scope="module")
def evaluated(mteb, encoder, prepared, tmp_path_factory):
    """mteb's result of the bundled model on the songs, and the folder it was written to."""
    out = tmp_path_factory.mktemp("mteb")
    encoded = []
    encode = encoder.encode
    encoder.encode = lambda inputs, **about: encoded.append(about) or encode(inputs, **about)
    try:
        found = mteb.evaluate(encoder, songeval(prepared), cache=mteb.ResultCache(out))
    finally:
        del encoder.encode
    assert [about["hf_split"] for about in encoded] == ["train", "test"], "songs encoded again"
    return found[0], out


def test_songeval_scores_every_dimension(evaluated):
    """Protects the task from a dimension that is missing or reads the labels of another."""
    result, _ = evaluated
    entries = {entry["hf_subset"]: entry for entry in result.scores["test"]}
    assert list(entries) == [dimension.name for dimension in DIMENSIONS]
    assert all(0.5 < entry["srcc"] <= 1 for entry in entries.values()), entries


def test_the_leaderboard_reads_what_mteb_writes(evaluated):
    """Protects the reader from a layout that mteb does not write."""
    result, out = evaluated
    (found,) = collect_results([out])
    assert found.score == pytest.approx(result.get_score(), abs=1e-6)
    assert found.task == f"{result.task_name} (mteb, test)"
    assert found.model == "hear-aesthetics/mini"
    assert found.parts == tuple(dimension.name for dimension in DIMENSIONS)


def test_an_unknown_task_is_one_line(mteb, capsys):
    """Protects a user's typing error from a traceback."""
    with pytest.raises(SystemExit) as exit_:
        main(["--tasks", "GTZANGenres"])
    assert exit_.value.code == 2
    assert "GTZANGenres" in capsys.readouterr().err.splitlines()[-1]
