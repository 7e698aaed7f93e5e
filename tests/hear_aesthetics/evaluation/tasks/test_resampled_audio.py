"""Resampled audio is made once, and is found stale when its source was replaced."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.module import HearModule
from hear_aesthetics.evaluation.embeddings.rows import DONE_FILE
from hear_aesthetics.evaluation.embeddings.runner import embed_task
from hear_aesthetics.evaluation.tasks import resampled_audio
from hear_aesthetics.evaluation.tasks.resampled_audio import check_source, ensure_sample_rate
from hear_aesthetics.evaluation.tasks.task import load_task

RATE = 16_000


@pytest.fixture
def task(make_audio_task):
    """A task of which a second rate was made."""
    task = load_task(make_audio_task(rate=8000))
    ensure_sample_rate(task, RATE, lambda done, total: None)
    return task


def replace_source(task):
    soundfile.write(task.folder / "8000/test/test_1.wav", np.zeros(1600), 8000, subtype="PCM_16")


def test_a_replaced_source_is_noticed_until_the_copy_is_made_again(task):
    check_source(task, RATE)
    replace_source(task)
    for use in (check_source, lambda *at: ensure_sample_rate(*at, lambda done, total: None)):
        with pytest.raises(
            TaskError, match=r"16000: made from .*8000, which has changed since; rem"
        ):
            use(task, RATE)
    shutil.rmtree(task.folder / "16000")
    ensure_sample_rate(task, RATE, lambda done, total: None)
    samples, _ = soundfile.read(task.folder / "16000/test/test_1.wav")
    assert not samples.any()


@pytest.mark.parametrize("finished", [True, False])
def test_a_stage_over_stale_audio_ends(task, make_module, tmp_path, finished):
    module = HearModule(make_module())
    folder = embed_task(module, task.folder, tmp_path / "out")
    if not finished:
        (folder / DONE_FILE).unlink()
    replace_source(task)
    with pytest.raises(TaskError, match="has changed since"):
        embed_task(module, task.folder, tmp_path / "out")


def test_a_copied_source_is_the_same_and_is_hashed_once(task, monkeypatch):
    for path in task.folder.rglob("*.wav"):
        os.utime(path, (1e9, 1e9))
    check_source(task, RATE)
    hashed = []
    monkeypatch.setattr(resampled_audio, "file_sha256", hashed.append)
    check_source(task, RATE)
    assert not hashed


def test_audio_without_a_record_or_without_its_source_stands_for_itself(task):
    shutil.rmtree(task.folder / "8000")
    check_source(task, RATE)
    (task.folder / "16000/source.json").unlink()
    check_source(task, RATE)


@pytest.mark.parametrize("content", ["{", "[1]", '{"source": 8000}'])
def test_a_damaged_record_is_one_line(task, content):
    (task.folder / "16000/source.json").write_text(content)
    with pytest.raises(TaskError, match=r"source\.json: ") as error:
        check_source(task, RATE)
    assert "\n" not in str(error.value)
