import json

import numpy as np
import pytest
import soundfile

from hear_aesthetics.errors import InputError
from songeval_task.data.prepared import read_prepared
from songeval_task.features import augmented_files as copies
from songeval_task.features.augmentation import load_version
from songeval_task.features.augmented_files import find_copy, make_copies, plan_copies, read_copies

pytestmark = pytest.mark.slow  # processes start


@pytest.fixture(scope="module")
def jobs(prepared):
    return plan_copies(read_prepared(prepared), copies=2, protocol="all", seed=1)


@pytest.fixture(scope="module")
def made(jobs, tmp_path_factory):
    out = tmp_path_factory.mktemp("copies")
    assert all(error is None for _, error in make_copies(jobs, out, workers=2))
    return out


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_copies_are_of_training_songs_alone(prepared, jobs):
    splits = {song.name: song.split for song in read_prepared(prepared).songs}
    assert {splits[job.song] for job in jobs} == {"train"}
    assert [job.version for job in jobs] == ["copy1", "copy2"] * 8
    published = plan_copies(read_prepared(prepared), copies=3, protocol="published", seed=1)
    assert [job.version for job in published] == ["published3"] * 8


def test_each_file_is_the_copy_and_its_row_says_how(jobs, made):
    rows = read_copies(made)
    assert list(rows) == [(job.song, job.version) for job in jobs]
    for job in jobs[:4]:
        expected, records = load_version(
            job.path, name=job.song, version=job.version, seed=job.seed
        )
        samples, rate = soundfile.read(made / job.file)
        assert rate == 24_000
        assert np.abs(samples - expected).max() < 2e-7
        row = rows[job.song, job.version]
        assert (row.augmentation, row.seed, row.sha256) == (records, 1, job.sha256)
        assert row.clipped == 0


def test_a_killed_run_goes_on_to_the_same_folder(jobs, made, tmp_path):
    out = tmp_path / "copies"
    list(make_copies(jobs[:6], out, workers=2))
    table = out / "augmentations.jsonl"
    table.write_text(table.read_text() + table.read_text().splitlines()[0][:50])  # torn
    (out / jobs[1].file).unlink()
    (out / "mp3/.half.flac.77.partial").write_bytes(b"x")
    list(make_copies(jobs, out, workers=2))
    assert contents(out) == contents(made)


def test_nothing_is_made_twice(jobs, made, monkeypatch):
    monkeypatch.setattr(copies, "in_processes", lambda function, items, workers: iter(items))
    assert [error for _, error in make_copies(jobs, made, workers=1)] == [None] * 16
    assert len(read_copies(made)) == 16


def test_copies_of_another_seed_are_not_replaced_in_silence(jobs, prepared, tmp_path):
    (job,) = jobs[:1]
    list(make_copies([job], tmp_path, workers=1))
    first = (tmp_path / job.file).read_bytes()
    other = job._replace(seed=2)
    with pytest.raises(InputError, match=r"seed was 1, now 2.*--overwrite"):
        list(make_copies([other], tmp_path, workers=1))
    assert (tmp_path / job.file).read_bytes() == first
    list(make_copies([other], tmp_path, workers=1, overwrite=True))
    assert (tmp_path / job.file).read_bytes() != first
    song = read_prepared(prepared).split("train")[0]
    with pytest.raises(InputError, match=r"no copy2 of mp3/\d+\.mp3; run `songeval augment`"):
        find_copy(read_copies(tmp_path), tmp_path, song, "copy2")


def test_a_damaged_row_is_made_again(jobs, tmp_path):
    list(make_copies(jobs[:1], tmp_path, workers=1))
    table = tmp_path / "augmentations.jsonl"
    whole = table.read_bytes()
    table.write_text('{"file": 1}\n{"fi\n')
    assert list(make_copies(jobs[:1], tmp_path, workers=1)) == [(jobs[0], None)]
    assert table.read_bytes() == whole


def test_a_song_that_cannot_be_read_is_one_error(jobs, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no music")
    out = tmp_path / "out"
    outcomes = list(make_copies([jobs[0]._replace(path=broken), jobs[1]], out, workers=1))
    errors = [error for _, error in outcomes if error]
    assert len(outcomes) == 2
    assert len(errors) == 1
    assert "broken.mp3" in errors[0]
    rows = (out / "augmentations.jsonl").read_text().splitlines()
    assert [json.loads(row)["file"] for row in rows] == [jobs[1].file]


def test_without_a_table_there_are_no_copies(tmp_path):
    with pytest.raises(InputError, match="run `songeval augment` first"):
        read_copies(tmp_path)
