"""Object stores: the rows of a store on loopback are those of the folder, and errors are one line.

The store is moto's S3 server; nothing leaves the machine.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hear_aesthetics.audio import load_audio
from hear_aesthetics.corpus.stored import stamp_of
from hear_aesthetics.engine.inputs import collect_inputs
from tests.hear_aesthetics.corpus.conftest import NAMES


@pytest.fixture(scope="session")
def endpoint():
    """The URL of an S3 server on this machine."""
    server = pytest.importorskip("moto.server", reason="make store").ThreadedMotoServer(
        "127.0.0.1", 0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch, tmp_path) -> str:
    """An empty bucket, found through the environment as users set it."""
    s3fs = pytest.importorskip("s3fs", reason="make store")
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"songs-{abs(hash(tmp_path.name)) % 10**8}"
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


def upload(bucket: str, source: Path, name: str) -> str:
    import s3fs

    s3fs.S3FileSystem().put(str(source), f"{bucket}/{name}", recursive=source.is_dir())
    return f"{bucket}/{name}"


@pytest.mark.store
def test_a_store_has_the_rows_of_the_folder(bucket, songs, parquet, tar) -> None:
    expected = {item.key: load_audio(item.path) for item in collect_inputs([str(songs)]).inputs}
    urls = {
        "folder": upload(bucket, songs, "data"),
        "parquet": upload(bucket, parquet, "box/songs.parquet"),
        "tar": upload(bucket, tar, "box/songs.tar"),
    }
    for url in urls.values():
        found = collect_inputs([url])
        assert not found.errors
        made = {item.key: load_audio(item.path) for item in found.inputs}
        assert made.keys() == expected.keys()
        for key, wave in made.items():
            np.testing.assert_array_equal(wave, expected[key])
        assert all(stamp_of(item.path) for item in found.inputs)
    one = collect_inputs([f"{bucket}/data/deep/*.flac"]).inputs
    assert [str(item.path) for item in one] == [f"{bucket}/data/deep/b.flac"]
    many = collect_inputs([f"{bucket}/box/*.parquet"]).inputs
    assert [item.key for item in many] == list(NAMES)


@pytest.mark.store
def test_scores_of_a_store_are_those_of_the_folder(bucket, songs, parquet, tar) -> None:
    from hear_aesthetics.cli import main
    from songeval_task import read_scores

    sources = {
        "folder": str(songs),
        "store": upload(bucket, songs, "data"),
        "parquet": upload(bucket, parquet, "box/songs.parquet"),
        "tar": upload(bucket, tar, "box/songs.tar"),
    }
    frames = {}
    for name, source in sources.items():
        with pytest.raises(SystemExit) as exit_:
            main(["score", source, "--model", "mini", "--out", f"{name}.csv"])
        assert not exit_.value.code
        frames[name] = read_scores(f"{name}.csv").sort_values("path", ignore_index=True)
    expected = frames["folder"].drop(columns="path")
    for name in ("store", "parquet", "tar"):
        made = frames[name][expected.columns]
        pd.testing.assert_frame_equal(made, expected, check_exact=False, atol=2e-5, rtol=0)
        assert list(frames[name]["key"]) == sorted(NAMES)


@pytest.mark.store
def test_a_table_names_objects_and_a_missing_one_is_its_own_error(bucket, songs) -> None:
    import pyarrow as pa

    upload(bucket, songs, "data")
    paths = [f"{bucket}/data/a.wav", f"{bucket}/data/missing.wav"]
    pq.write_table(pa.table({"path": paths}), "rows.parquet")
    good, bad = collect_inputs(["rows.parquet"]).inputs
    assert len(load_audio(good.path)) == 24_000
    with pytest.raises(Exception, match=r"missing.wav: no such file or folder; check the name"):
        load_audio(bad.path)
    Path("list.txt").write_text("\n".join(paths))
    assert [str(item.path) for item in collect_inputs(["list.txt"]).inputs] == paths


@pytest.mark.store
def test_a_store_without_the_bucket_is_one_line(bucket) -> None:
    found = collect_inputs(["s3://no-such-bucket-here/songs"])
    (bad,) = found.errors
    assert bad.message.startswith("s3://no-such-bucket-here/songs: ")
    assert "\n" not in bad.message


def test_a_file_url_is_a_path(songs) -> None:
    url = f"file://{songs.resolve()}"
    assert [item.key for item in collect_inputs([url]).inputs] == sorted(NAMES)


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    (bad,) = collect_inputs(["gs://bucket/songs"]).errors
    assert bad.message.endswith("needs gcsfs, which is not installed; pip install gcsfs")


def test_a_url_of_a_kind_that_nobody_knows_is_one_line() -> None:
    (bad,) = collect_inputs(["nowhere://x/y"]).errors
    assert bad.message.startswith("nowhere://x/y: cannot be read (Protocol not known")


def test_the_hub_offline_is_one_line(monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (bad,) = collect_inputs(["hf://datasets/owner/songs"]).errors
    assert bad.message.startswith("hf://datasets/owner/songs: cannot be read (")
    assert "\n" not in bad.message
