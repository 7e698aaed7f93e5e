"""The embedding stage: heareval's layout, resumed file by file, nothing lost to a broken module."""

import json
import os
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.errors import InputError, ModuleError, TaskError
from hear_aesthetics.evaluation.embeddings.module import HearModule
from hear_aesthetics.evaluation.embeddings.rows import read_rows
from hear_aesthetics.evaluation.embeddings.runner import embed_task
from hear_aesthetics.evaluation.tasks.task import load_task

BREAKS_AT_THE_LONG_ONE = """
good = get_scene_embeddings
def get_scene_embeddings(audio, model):
    if audio.shape[1] == 3200:
        {}
    return good(audio, model)
"""


def rows_of(folder, split):
    """The merged rows of a split, as the predictions stage reads them."""
    shape = json.loads((folder / f"{split}.embedding-dimensions.json").read_text())
    return np.fromfile(folder / f"{split}.embeddings.npy", dtype=np.float32).reshape(shape)


def test_a_scene_folder_holds_what_heareval_writes(make_audio_task, make_module, tmp_path):
    task, name = make_audio_task(), make_module()
    folder = embed_task(HearModule(name), task, tmp_path / "out")
    assert folder == tmp_path / "out" / name / task.name
    for file in ("task_metadata.json", "labelvocabulary.csv", "valid.json"):
        assert (folder / file).read_bytes() == (task / file).read_bytes()
    assert (folder / ".done.embeddings").read_bytes() == b""
    assert json.loads((folder / "profile.embeddings.json").read_text())["time_elapsed"] > 0
    one = np.load(folder / "test/test_0.wav.embedding.npy")
    assert (one.shape, one.dtype) == ((3,), np.float32)
    assert json.loads((folder / "test/test_0.wav.target-labels.json").read_text()) == ["high"]


def test_rows_come_in_heareval_s_order(make_audio_task, make_module, tmp_path):
    task = make_audio_task()
    folder = embed_task(HearModule(make_module()), task, tmp_path / "out")
    generator = random.Random(0)  # one for all splits, in the order of the metadata
    for split in ("train", "valid", "test"):
        labels = json.loads((task / f"{split}.json").read_text())
        files = list(labels)
        generator.shuffle(files)
        expected = [np.load(folder / split / f"{file}.embedding.npy") for file in files]
        np.testing.assert_array_equal(rows_of(folder, split), np.stack(expected))
        stored = pickle.loads((folder / f"{split}.target-labels.pkl").read_bytes())
        assert stored == [labels[file] for file in files]


def test_events_get_the_labels_that_hold_at_each_time(
    make_audio_task, make_module, tmp_path, event_labels
):
    task = make_audio_task(
        embedding_type="event",
        prediction_type="multilabel",
        evaluation=["event_onset_200ms_fms"],
        split_labels=event_labels,
    )
    folder = embed_task(HearModule(make_module()), task, tmp_path / "out")
    times = json.loads((folder / "train/train_0.wav.timestamps.json").read_text())
    labels = json.loads((folder / "train/train_0.wav.target-labels.json").read_text())
    assert times == [0, 40, 80, 120, 160, 200]
    # high holds from 40 to 80, low from 60 to 160, ends included
    assert [sorted(at) for at in labels] == [[], ["high"], ["high", "low"], ["low"], ["low"], []]
    stamps = json.loads((folder / "train.filename-timestamps.json").read_text())
    assert len(stamps) == len(rows_of(folder, "train")) == 12
    assert [time for _, time in stamps[:6]] == times
    assert {path.rsplit("/", 1)[1] for path, _ in stamps} == {"train_0.wav", "train_1.wav"}


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        ("return torch.full((len(audio), 3), float('nan'))", "NaN or infinity for train_0.wav"),
        ("return torch.zeros(len(audio), 5)", r"shape \(3, 5\); expected \(3, 3\)"),
        ("return good(audio, model).double()", "float64 embeddings; expected float32"),
        ("raise RuntimeError('half way')", "failed on train_0.wav and 2 others: .*half way"),
    ],
)
def test_a_module_that_breaks_in_the_middle_keeps_the_finished_files(
    make_audio_task, make_module, tmp_path, files_below, breakage, message
):
    task = make_audio_task(longer=["train_3.wav"])  # computed first
    broken = HearModule(make_module(BREAKS_AT_THE_LONG_ONE.format(breakage)))
    with pytest.raises(ModuleError, match=message):
        embed_task(broken, task, tmp_path / "out")
    folder = tmp_path / "out" / broken.folder_name / task.name
    kept = files_below(folder)
    assert [f for f in kept if f.endswith(".npy")] == ["train/train_3.wav.embedding.npy"]
    assert ".done.embeddings" not in kept
    with pytest.raises(ModuleError, match=message):
        embed_task(broken, task, tmp_path / "out")
    again = files_below(folder)["train/train_3.wav.embedding.npy"]
    assert again == kept["train/train_3.wav.embedding.npy"], "a finished file was computed again"


def test_too_few_timestamps_end_the_stage(make_audio_task, make_module, tmp_path, event_labels):
    task = make_audio_task(
        embedding_type="event",
        prediction_type="multilabel",
        evaluation=["event_onset_200ms_fms"],
        split_labels=event_labels,
    )
    halved = "whole = get_timestamp_embeddings\n"
    halved += "def get_timestamp_embeddings(audio, model):\n"
    halved += "    values, times = whole(audio, model)\n    return values[:, :2], times[:, :2]"
    with pytest.raises(
        ModuleError,
        match=r"too few timestamps for train_0\.wav .* to 40 of 200 ms; none lies",
    ):
        embed_task(HearModule(make_module(halved)), task, tmp_path / "out")


def test_a_resumed_stage_computes_only_what_is_missing(
    make_audio_task, make_module, tmp_path, files_below
):
    task = make_audio_task(longer=["train_3.wav"])
    module = HearModule(make_module())
    folder = embed_task(module, task, tmp_path / "out")
    whole, before = rows_of(folder, "train"), files_below(folder)
    for name in (".done.embeddings", "train.embeddings.npy", "train/train_3.wav.embedding.npy"):
        (folder / name).unlink()
    (folder / "train/.train_3.wav.embedding.npy.99.partial").write_bytes(b"torn")
    seen = []
    embed_task(module, task, tmp_path / "out", lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(rows_of(folder, "train"), whole)
    after = files_below(folder)
    assert set(after) == set(before), "what a killed writer left is removed"
    changed = {f for f in after if f.endswith(".embedding.npy") and after[f] != before[f]}
    assert changed == {"train/train_3.wav.embedding.npy"}
    assert seen[0] == (3, 12)
    assert seen[-1] == (12, 12)


def test_a_finished_folder_is_left_alone(make_audio_task, make_module, tmp_path, files_below):
    task, module = make_audio_task(), HearModule(make_module())
    folder = embed_task(module, task, tmp_path / "out")
    before = files_below(folder)
    embed_task(module, task, tmp_path / "out")
    assert files_below(folder) == before
    (folder / "origin.embeddings.json").unlink()  # as heareval leaves it
    embed_task(module, task, tmp_path / "out")
    assert (folder / ".done.embeddings").exists()
    assert not (folder / "origin.embeddings.json").exists()


def test_what_only_tells_of_a_model_does_not_decide(
    make_audio_task, make_module, tmp_path, files_below
):
    task, name = make_audio_task(), make_module("Levels.fingerprint = lambda self, kind: {}")
    module = HearModule(name)
    module._model.provenance = lambda: {"origin": "hub"}
    folder = embed_task(module, task, tmp_path / "out")
    (folder / ".done.embeddings").unlink()  # a first run that was killed
    before = files_below(folder)
    module._module.__version__ = "2"
    later = HearModule(name)
    later._model.provenance = lambda: {"origin": "cache"}
    embed_task(later, task, tmp_path / "out")
    after = files_below(folder)
    embeddings = [file for file in before if file.endswith(".embedding.npy")]
    assert len(embeddings) == 12
    assert all(after[file] == before[file] for file in embeddings), "made again"


@pytest.mark.parametrize(
    ("first", "second"),
    [({"model": "m.a"}, {"model": "m-a"}), ({"scale": 1}, {"scale": -1})],
)
def test_two_models_whose_folders_have_one_name_keep_what_each_has_made(
    make_audio_task, make_module, tmp_path, monkeypatch, files_below, first, second
):
    monkeypatch.chdir(tmp_path)
    Path("m.a").write_bytes(b"1")
    Path("m-a").write_bytes(b"2")
    task, name = make_audio_task(), make_module()
    one, two = (
        HearModule(name, options.get("model"), {k: v for k, v in options.items() if k == "scale"})
        for options in (first, second)
    )
    before = files_below(embed_task(one, task, "out"))
    with pytest.raises(InputError, match=r" was .*, now "):
        embed_task(two, task, "out")
    assert files_below(tmp_path / "out" / one.folder_name / task.name) == before


def test_one_model_spelled_in_two_ways_is_one(
    make_audio_task, make_module, tmp_path, monkeypatch, files_below
):
    monkeypatch.chdir(tmp_path)
    Path("m.a").write_bytes(b"1")
    task, name = make_audio_task(), make_module()
    folder = embed_task(HearModule(name, "m.a"), task, "out")
    before = files_below(folder)
    assert embed_task(HearModule(name, "./m.a"), task, "out") == folder
    assert files_below(folder) == before


def test_another_version_of_a_module_is_refused_until_it_may_replace(
    make_audio_task, make_module, tmp_path, files_below
):
    task, name = make_audio_task(), make_module("__version__ = '1'")
    module = HearModule(name)
    folder = embed_task(module, task, tmp_path / "out")
    first, before = rows_of(folder, "test"), files_below(folder)
    module._module.__version__ = "2"
    newer = HearModule(name)
    newer._model.scale = 3.0
    with pytest.raises(InputError, match=r"version was 1, now 2.*--overwrite to replace"):
        embed_task(newer, task, tmp_path / "out")
    assert files_below(folder) == before, "nothing finished is deleted unasked"
    embed_task(newer, task, tmp_path / "out", overwrite=True)
    np.testing.assert_allclose(rows_of(folder, "test"), 3 * first, rtol=1e-6)


def test_other_labels_are_refused_until_they_may_replace(
    make_audio_task, make_module, tmp_path, files_below
):
    task, module = make_audio_task(), HearModule(make_module())
    folder = embed_task(module, task, tmp_path / "out")
    before = files_below(folder)
    labels = json.loads((task / "valid.json").read_text())
    (task / "valid.json").write_text(json.dumps({name: ["low"] for name in labels}))
    with pytest.raises(InputError, match=r"valid\.json of the task was .*, now"):
        embed_task(module, task, tmp_path / "out")
    assert files_below(folder) == before
    embed_task(module, task, tmp_path / "out", overwrite=True)
    assert pickle.loads((folder / "valid.target-labels.pkl").read_bytes()) == [["low"]] * 4


def test_other_options_of_a_task_keep_the_embeddings(
    make_audio_task, make_module, tmp_path, files_below
):
    task, module = make_audio_task(), HearModule(make_module())
    folder = embed_task(module, task, tmp_path / "out")
    before = files_below(folder)
    metadata = json.loads((task / "task_metadata.json").read_text())
    (task / "task_metadata.json").write_text(json.dumps(metadata | {"evaluation": ["mAP"]}))
    embed_task(module, task, tmp_path / "out")
    after = files_below(folder)
    changed = {file for file in after if after[file] != before.get(file)}
    assert (set(after), changed) == (set(before), {"task_metadata.json"})


@pytest.mark.parametrize("finished", [True, False])
def test_audio_that_changed_is_refused_until_it_may_replace(
    make_audio_task, make_module, tmp_path, finished
):
    task, module = make_audio_task(), HearModule(make_module())
    folder = embed_task(module, task, tmp_path / "out")
    if not finished:
        (folder / ".done.embeddings").unlink()
    before = np.load(folder / "test/test_1.wav.embedding.npy")
    audio = task / "16000/test/test_1.wav"
    soundfile.write(audio, np.zeros(3200), 16_000, subtype="PCM_16")
    with pytest.raises(InputError, match=r"audio was .*--overwrite to replace"):
        embed_task(module, task, tmp_path / "out")
    embed_task(module, task, tmp_path / "out", overwrite=True)
    assert np.abs(np.load(folder / "test/test_1.wav.embedding.npy")).max() == 0
    assert np.abs(before).max() > 0


def test_audio_dated_in_the_future_is_computed_once(
    make_audio_task, make_module, tmp_path, files_below
):
    task, module = make_audio_task(), HearModule(make_module())
    for path in task.rglob("*.wav"):
        os.utime(path, (4e9, 4e9))
    folder = embed_task(module, task, tmp_path / "out")
    (folder / ".done.embeddings").unlink()  # a run that was killed
    before = files_below(folder)
    embed_task(module, task, tmp_path / "out")
    after = files_below(folder)
    assert {f: after[f] for f in after if f.endswith(".embedding.npy")} == {
        f: before[f] for f in before if f.endswith(".embedding.npy")
    }


def test_a_clip_that_holds_nan_is_named(make_audio_task, make_module, tmp_path):
    task = make_audio_task()
    clip = np.full(3200, np.nan)
    soundfile.write(task / "16000/test/test_2.wav", clip, 16_000, subtype="FLOAT")
    with pytest.raises(TaskError, match=r"16000/test/test_2\.wav: .*holds NaN or infinity"):
        embed_task(HearModule(make_module()), task, tmp_path / "out")


def test_a_clip_that_is_cut_off_is_said(make_audio_task, make_module, tmp_path, caplog):
    task = make_audio_task()
    clip = task / "16000/test/test_2.wav"
    clip.write_bytes(clip.read_bytes()[:3244])
    embed_task(HearModule(make_module()), task, tmp_path / "out")
    (said,) = caplog.messages
    assert f"{clip}: holds 0.10 of the 0.20 s" in said


def test_a_missing_clip_is_named_though_there_is_another_rate(
    make_audio_task, make_module, tmp_path
):
    task = make_audio_task(rate=8000)
    (task / "8000/test/test_2.wav").unlink()
    with pytest.raises(TaskError, match=r"8000/test/test_2\.wav: missing"):
        embed_task(HearModule(make_module()), task, tmp_path / "out")


def test_events_of_files_in_folders_are_matched_by_the_whole_name(
    make_audio_task, make_module, tmp_path, event_labels
):
    high = [{"label": "high", "start": 0.0, "end": 200.0}]
    low = [{"label": "low", "start": 0.0, "end": 200.0}]
    labels = {split: {"x/a.wav": high, "y/a.wav": low} for split in event_labels}
    task = make_audio_task(
        embedding_type="event",
        prediction_type="multilabel",
        evaluation=["event_onset_200ms_fms"],
        split_labels=labels,
    )
    folder = embed_task(HearModule(make_module()), task, tmp_path / "out")
    rows = read_rows(load_task(folder), ("test",), with_times=True)
    found = rows.events.as_dicts(rows.timeline.files, ("high", "low"))
    assert {name: [event["label"] for event in events] for name, events in found.items()} == {
        "x/a.wav": ["high"],
        "y/a.wav": ["low"],
    }


def test_a_missing_rate_is_made_once_and_said(make_audio_task, make_module, tmp_path, caplog):
    task = make_audio_task(rate=8000)
    torn = task / "16000/train/.train_0.wav.99.partial"  # of a run that was killed
    torn.parent.mkdir(parents=True)
    torn.touch()
    caplog.set_level("INFO")
    seen = []
    embed_task(
        HearModule(make_module()),
        task,
        tmp_path / "out",
        resampling=lambda done, total: seen.append((done, total)),
    )
    assert not torn.exists()
    assert "resampling 12 files from 8000 Hz, once" in caplog.text
    assert (seen[0], len(seen)) == ((0, 12), 12)
    assert soundfile.info(task / "16000/train/train_0.wav").frames == 3200
    caplog.clear()
    embed_task(HearModule(make_module()), task, tmp_path / "out")
    assert not caplog.text


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((3200, 2)), 16_000, "in 2 channels; expected mono at 16000 Hz"),
        (np.zeros(3200), 22_050, "at 22050 Hz in 1 channels; expected mono at 16000 Hz"),
        (np.zeros(0), 16_000, "0 frames"),
    ],
)
def test_audio_of_another_kind_is_named(
    make_audio_task, make_module, tmp_path, samples, rate, message
):
    task = make_audio_task()
    soundfile.write(task / "16000/valid/valid_2.wav", samples, rate)
    with pytest.raises(TaskError, match=rf"valid_2\.wav: .*{message}"):
        embed_task(HearModule(make_module()), task, tmp_path / "out")


def test_a_file_that_cannot_be_read_is_named(make_audio_task, make_module, tmp_path):
    task = make_audio_task()
    (task / "16000/test/test_0.wav").write_bytes(b"no audio")
    with pytest.raises(TaskError, match=r"test_0\.wav: cannot be read .*restore it"):
        embed_task(HearModule(make_module()), task, tmp_path / "out")


def test_a_file_that_is_at_no_rate_is_named(make_audio_task, make_module, tmp_path):
    task = make_audio_task()
    (task / "16000/test/test_0.wav").unlink()
    with pytest.raises(TaskError, match=r"test_0\.wav: missing, and there is no other rate"):
        embed_task(HearModule(make_module()), task, tmp_path / "out")
