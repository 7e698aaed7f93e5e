"""The folder of one task's embeddings: claimed once, gone on with, never emptied unasked."""

import json
import os
import shutil

import pytest
import soundfile

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.embeddings.folder import ORIGIN_FILE, begin_folder
from hear_aesthetics.evaluation.embeddings.rows import DONE_FILE
from hear_aesthetics.evaluation.tasks import resampled_audio
from hear_aesthetics.evaluation.tasks.task import load_task
from hear_aesthetics.fingerprint import read_record

MADE, TOLD = {"module": "levels", "model": {"a.pt": "12"}}, {"from": "hub"}


@pytest.fixture
def begin(make_audio_task, tmp_path):
    """A function that begins one folder, given what differs from the first call."""
    source = make_audio_task()

    def call(made=MADE, told=TOLD, **options):
        task = load_task(source)
        return begin_folder(call.folder, made, told, task, source / "16000", **options)

    call.folder, call.source = tmp_path / "out/levels" / source.name, source
    return call


def finish(folder):
    (folder / "test").mkdir(exist_ok=True)
    (folder / "test/test_0.wav.embedding.npy").write_bytes(b"values")
    (folder / DONE_FILE).touch()


def test_a_folder_is_claimed_and_found_finished(begin):
    assert begin()
    assert begin(), "begun is not finished"
    finish(begin.folder)
    assert not begin()
    record = read_record(begin.folder / ORIGIN_FILE)
    assert record["provenance"] == TOLD
    assert MADE.items() <= record["fingerprint"].items()


def test_where_weights_came_from_does_not_decide(begin, files_below):
    begin()
    finish(begin.folder)
    before = files_below(begin.folder)
    assert not begin(told={"from": "cache", "version": "9"})
    (begin.folder / DONE_FILE).unlink()  # a run that was killed
    assert begin(told={"from": "cache", "version": "9"})
    after = files_below(begin.folder)
    assert after == {name: time for name, time in before.items() if name != DONE_FILE}


@pytest.mark.parametrize("complete", [True, False])
def test_another_model_is_refused_and_nothing_is_deleted(begin, files_below, complete):
    begin()
    finish(begin.folder)
    if not complete:
        (begin.folder / DONE_FILE).unlink()
    before = files_below(begin.folder)
    other = MADE | {"model": {"a.pt": "34"}}
    with pytest.raises(InputError, match=r"model.a.pt was 12, now 34.*--out, or --overwrite"):
        begin(other)
    assert files_below(begin.folder) == before
    assert begin(other, overwrite=True)
    assert not (begin.folder / "test").exists()
    assert read_record(begin.folder / ORIGIN_FILE)["fingerprint"]["model"] == {"a.pt": "34"}


def test_a_finished_folder_needs_no_audio(begin):
    begin()
    finish(begin.folder)
    shutil.rmtree(begin.source / "16000")
    assert not begin()


def test_a_missing_clip_is_named_before_anything_is_deleted(begin):
    begin()
    finish(begin.folder)
    (begin.source / "16000/valid/valid_3.wav").unlink()
    with pytest.raises(TaskError, match=r"valid/valid_3\.wav: missing"):
        begin(overwrite=True)
    assert (begin.folder / "test/test_0.wav.embedding.npy").is_file()


def test_audio_that_was_replaced_is_refused(begin):
    begin()
    finish(begin.folder)
    path = begin.source / "16000/test/test_0.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[:-10], rate, subtype="PCM_16")
    with pytest.raises(InputError, match="audio was"):
        begin()


def touch_audio(begin):
    """Give the audio the times of a copy."""
    for path in begin.source.rglob("*.wav"):
        os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize("complete", [True, False])
def test_audio_that_was_copied_is_the_same_and_is_hashed_once(begin, monkeypatch, complete):
    begin()
    finish(begin.folder)
    if not complete:
        (begin.folder / DONE_FILE).unlink()
    touch_audio(begin)
    assert begin() is not complete
    hashed = []
    monkeypatch.setattr(resampled_audio, "file_sha256", hashed.append)
    assert begin() is not complete
    assert not hashed


def test_audio_of_the_same_size_and_other_content_is_refused(begin):
    begin()
    path = begin.source / "16000/test/test_0.wav"
    content = path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1, content[-1]]))
    with pytest.raises(InputError, match="audio was"):
        begin()


def test_a_record_without_the_content_of_the_audio_holds_for_its_sizes_and_times(begin):
    begin()
    finish(begin.folder)
    record = read_record(begin.folder / ORIGIN_FILE)  # as written before contents were hashed
    record["fingerprint"]["audio"] = record.pop("audio_stamp")
    (begin.folder / ORIGIN_FILE).write_text(json.dumps(record))
    assert not begin()
    touch_audio(begin)
    with pytest.raises(InputError, match=r"audio was .*; take another --out, or --overwrite"):
        begin()


def test_finished_embeddings_of_heareval_are_kept_as_they_are(begin, files_below):
    begin()
    finish(begin.folder)
    (begin.folder / ORIGIN_FILE).unlink()
    before = files_below(begin.folder)
    assert not begin()
    assert files_below(begin.folder) == before
    (begin.folder / "valid.json").write_text("{}")
    with pytest.raises(InputError, match=r"valid\.json of the task was"):
        begin()


def test_unfinished_embeddings_of_unknown_origin_are_refused(begin):
    begin()
    (begin.folder / ORIGIN_FILE).unlink()
    with pytest.raises(InputError, match=r"unknown origin; take another --out, or --overwrite"):
        begin()
    assert begin(overwrite=True)


def test_a_run_killed_while_it_claimed_the_folder_is_gone_on_with(begin):
    begin.folder.mkdir(parents=True)
    (begin.folder / f".{ORIGIN_FILE}.99.partial").write_bytes(b"{")
    assert begin()
    assert not list(begin.folder.glob(".*.partial"))


def test_a_record_of_an_earlier_version_is_refused_in_one_line(begin):
    begin()
    (begin.folder / ORIGIN_FILE).write_text('{"module": "levels", "version": "0.1"}')
    with pytest.raises(InputError, match=r"not a record of this version.*--overwrite") as error:
        begin()
    assert "\n" not in str(error.value)
