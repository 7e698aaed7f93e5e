import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from hear_aesthetics.errors import InputError
from songeval_task.data.prepared import read_prepared
from songeval_task.features import augmented_files
from songeval_task.features.augmentation import load_version
from songeval_task.features.augmented_files import (
    make_augmented,
    plan_versions,
    read_augmented,
)

pytestmark = pytest.mark.slow  # processes start


def planned(prepared, *words, seed=1):
    versions = plan_versions(read_prepared(prepared), *words, *([] if words[1:] else ["all"]), seed)
    return [version for version in versions if not version.made]


@pytest.fixture(scope="module")
def jobs(prepared):
    return planned(prepared, 2)


@pytest.fixture(scope="module")
def made(jobs, tmp_path_factory):
    out = tmp_path_factory.mktemp("versions")
    assert all(error is None for _, error in make_augmented(jobs, out, workers=2))
    return out


def file(job):
    return f"{job.song.name}/{job.version}.flac"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_versions_are_of_training_songs_alone(prepared, jobs):
    splits = {song.name: song.split for song in read_prepared(prepared).songs}
    assert {splits[job.song.name] for job in jobs} == {"train"}
    assert [job.version for job in jobs] == ["aug1", "aug2"] * 8
    published = planned(prepared, 3, "published")
    assert [job.version for job in published] == ["published3"] * 8


def test_each_file_is_the_version_and_its_row_says_how(jobs, made):
    rows = read_augmented(made)
    assert list(rows) == [(job.song.name, job.version) for job in jobs]
    for job in jobs[:4]:
        expected, records = load_version(
            job.path, name=job.song.name, version=job.version, seed=job.seed
        )
        samples, rate = soundfile.read(made / file(job))
        assert rate == 24_000
        assert np.array_equal(samples, expected)
        row = rows[job.song.name, job.version]
        assert (row.augmentation, row.seed, row.sha256) == (records, 1, job.song.sha256)


def test_a_killed_run_goes_on_to_the_same_folder(jobs, made, tmp_path):
    out = tmp_path / "versions"
    list(make_augmented(jobs[:6], out, workers=2))
    table = out / "augmentations.jsonl"
    table.write_text(table.read_text() + table.read_text().splitlines()[0][:50])  # torn
    (out / file(jobs[1])).unlink()
    (out / "mp3/.half.flac.77.partial").write_bytes(b"x")
    list(make_augmented(jobs, out, workers=2))
    assert contents(out) == contents(made)


def test_nothing_is_made_twice(jobs, made, monkeypatch):
    monkeypatch.setattr(
        augmented_files, "in_processes", lambda function, items, workers: iter(items)
    )
    assert [error for _, error in make_augmented(jobs, made, workers=1)] == [None] * 16
    assert len(read_augmented(made)) == 16


def test_versions_of_another_seed_are_not_replaced_in_silence(jobs, prepared, tmp_path):
    (job,) = jobs[:1]
    list(make_augmented([job], tmp_path, workers=1))
    first = (tmp_path / file(job)).read_bytes()
    other = replace(job, seed=2)
    with pytest.raises(InputError, match=r"seed was 1, now 2.*--overwrite"):
        list(make_augmented([other], tmp_path, workers=1))
    assert (tmp_path / file(job)).read_bytes() == first
    list(make_augmented([other], tmp_path, workers=1, overwrite=True))
    assert (tmp_path / file(job)).read_bytes() != first
    with pytest.raises(InputError, match=r"no aug2 of mp3/\d+\.mp3; run `songeval augment`"):
        plan_versions(read_prepared(prepared), 2, "all", 0, augmented=tmp_path)


def test_versions_of_earlier_releases_are_made_again(jobs, prepared, tmp_path):
    """They were neither of librosa's length nor what their file holds; their rows say `clipped`."""
    list(make_augmented(jobs[:2], tmp_path, workers=1))
    table, expected = tmp_path / "augmentations.jsonl", contents(tmp_path)
    table.write_text(table.read_text().replace("}\n", ', "clipped": 0}\n'))
    with pytest.raises(InputError, match=r"no aug1 of mp3/\d+\.mp3; run `songeval augment`"):
        plan_versions(read_prepared(prepared), 2, "all", 1, augmented=tmp_path)
    (tmp_path / file(jobs[0])).write_bytes(b"of another length")
    list(make_augmented(jobs[:2], tmp_path, workers=1))
    assert contents(tmp_path) == expected


def test_a_damaged_row_is_made_again(jobs, tmp_path):
    list(make_augmented(jobs[:1], tmp_path, workers=1))
    table = tmp_path / "augmentations.jsonl"
    whole = table.read_bytes()
    table.write_text('{"file": 1}\n{"fi\n')
    assert list(make_augmented(jobs[:1], tmp_path, workers=1)) == [(jobs[0], None)]
    assert table.read_bytes() == whole


def test_a_song_that_cannot_be_read_is_one_error(jobs, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no music")
    out = tmp_path / "out"
    outcomes = list(make_augmented([replace(jobs[0], path=broken), jobs[1]], out, workers=1))
    errors = [error for _, error in outcomes if error]
    assert len(outcomes) == 2
    assert len(errors) == 1
    assert "broken.mp3" in errors[0]
    rows = (out / "augmentations.jsonl").read_text().splitlines()
    assert [json.loads(row)["file"] for row in rows] == [file(jobs[1])]


def test_without_a_table_there_are_no_versions(tmp_path):
    with pytest.raises(InputError, match="run `songeval augment` first"):
        read_augmented(tmp_path)


def test_versions_that_were_called_copies_are_read(jobs, made, tmp_path):
    row = next(iter(read_augmented(made).values()))
    (tmp_path / row.file).parent.mkdir(parents=True)
    earlier = replace(row, version="copy1", file=row.file.replace("aug1", "copy1"))
    (tmp_path / earlier.file).write_bytes((made / row.file).read_bytes())
    (tmp_path / "augmentations.jsonl").write_text(json.dumps(vars(earlier)) + "\n")
    assert list(make_augmented(jobs[:1], tmp_path, workers=1)) == [(jobs[0], None)]
    assert read_augmented(tmp_path) == {(row.song, "aug1"): replace(row, file=earlier.file)}
