import json
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest

import hear_aesthetics
from hear_aesthetics.checkpoints import CHECKPOINTS
from songeval_task.features.store import FeatureStore

MINI = Path(hear_aesthetics.__file__).parent / "weights" / CHECKPOINTS["mini"].newest
KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from contextlib import contextmanager
from hear_aesthetics.cli import main
from songeval_task.features import store

whole, opened = store.atomic_file, []

@contextmanager
def deadly(path):
    opened.append(path)
    with whole(path) as file:
        if len(opened) > 5:
            file.write(b"half a file")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        yield file

store.atomic_file = deadly
main(sys.argv[1:])
"""


def files(store):
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in Path(store).rglob("*.safetensors")
    }


def leftovers(folder):
    return [path for path in Path(folder).rglob("*") if path.name.endswith(".partial")]


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """A store that was made without interruption."""
    out = tmp_path_factory.mktemp("features") / "store"
    words = ["songeval", "features", str(prepared), "--out", str(out), "--model", "mini"]
    subprocess.run([sys.executable, "-m", "hear_aesthetics", *words], check=True)
    return out


def test_every_song_is_stored_and_indexed(command, prepared, whole):
    index = FeatureStore(whole).index()
    assert len(index) == 12
    assert set(index["version"]) == {"original"}
    fused, state = FeatureStore(whole).load("mp3/0.mp3", "original", ("fused", "muq_03"))
    assert fused.shape[1:] == (1280,)
    assert state.shape[1:] == (160,)
    again = command("songeval", "features", prepared, "--out", whole, "--model", "mini")
    assert again.code == 0
    assert again.notes[-1] == "12 files stored"
    pd.testing.assert_frame_equal(FeatureStore(whole).index(), index)


@pytest.mark.slow
def test_killed_and_run_again_gives_the_same_store(prepared, whole, tmp_path):
    out = tmp_path / "store"
    words = ["songeval", "features", str(prepared), "--out", str(out), "--model", "mini"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, *words], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert 0 < len(files(out)) < 12
    assert len(leftovers(out)) == 1, "it was killed while it wrote a file"
    assert not (out / "index.parquet").exists()
    call = [sys.executable, "-m", "hear_aesthetics", *words]
    subprocess.run(call, check=True, stderr=subprocess.DEVNULL)
    assert files(out) == files(whole)
    assert leftovers(out) == []
    pd.testing.assert_frame_equal(FeatureStore(out).index(), FeatureStore(whole).index())


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on(
    command, prepared, whole, small_disk, monkeypatch, tmp_path
):
    monkeypatch.setattr("hear_aesthetics.files.check_free", lambda *_: None)
    out = small_disk(150) / "store"
    words = ("songeval", "features", prepared, "--out", out, "--model", "mini")
    outcome = command(*words)
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "cannot take more (No space left on device)" in outcome.errors[0]
    assert "it goes on" in outcome.errors[0]
    made = files(out)
    assert 0 < len(made) < 12
    assert made.items() <= files(whole).items(), "no file is half-written"
    assert leftovers(out) == []
    subprocess.run(["mount", "-o", "remount,size=4m", str(out.parent)], check=True)
    assert command(*words).code == 0
    assert files(out) == files(whole)


@pytest.mark.slow
def test_too_small_a_disk_is_said_before_anything_is_computed(command, prepared, small_disk):
    out = small_disk(150) / "store"
    outcome = command("songeval", "features", prepared, "--out", out, "--model", "mini")
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "needs 1.01 MB" in outcome.errors[0]
    assert "kB are free" in outcome.errors[0]
    assert files(out) == {}


def test_a_broken_song_is_one_line_and_the_others_go_on(command, prepared, whole, tmp_path):
    moved = shutil.copytree(prepared.parent, tmp_path / "moved")
    about = moved / "prepared/dataset.json"
    text = json.loads(about.read_text()) | {"root": str(moved / "songeval")}
    about.write_text(json.dumps(text))
    (moved / "songeval/mp3/4.mp3").write_bytes(b"no music")
    words = ("songeval", "features", moved / "prepared", "--out", tmp_path / "store")
    outcome = command(*words, "--model", "mini")
    assert outcome.code == 3
    assert len(outcome.errors) == 1
    assert "mp3/4.mp3" in outcome.errors[0]
    assert "11 files stored, 1 failed" in outcome.notes
    assert len(FeatureStore(tmp_path / "store").index()) == 11
    shutil.copy(prepared.parent / "songeval/mp3/4.mp3", moved / "songeval/mp3/4.mp3")
    assert command(*words, "--model", "mini").code == 0
    assert files(tmp_path / "store") == files(whole)


def test_choices_reach_the_store(command, prepared, tmp_path):
    outcome = command(
        *("songeval", "features", prepared, "--out", tmp_path / "store", "--model", "mini"),
        *("--states", "muq_01,musicfm_03", "--dtype", "bfloat16", "--precision", "bfloat16"),
    )
    assert outcome.code == 0
    store = FeatureStore(tmp_path / "store")
    assert store.fingerprint()["states"] == ["muq_01", "musicfm_03"]
    assert store.fingerprint()["precision"] == "bfloat16"
    (state,) = store.load("mp3/0.mp3", "original", ("musicfm_03",))
    assert str(state.dtype) == "torch.bfloat16"


def test_a_store_of_other_features_is_not_touched(command, prepared, whole):
    before = files(whole)
    outcome = command(
        *("songeval", "features", prepared, "--out", whole, "--model", "mini"), "--states", "none"
    )
    assert outcome.code == 2
    assert "states was ['muq_03'], now []" in outcome.errors[0]
    assert files(whole) == before


@pytest.mark.slow
def test_what_decides_no_feature_leaves_the_store_as_it_is(command, prepared, tmp_path):
    model = shutil.copytree(MINI, tmp_path / "model")
    words = ("songeval", "features", prepared, "--out", tmp_path / "store", "--model", model)
    assert command(*words).code == 0
    before = files(tmp_path / "store")
    settings = json.loads((model / "hear_aesthetics.json").read_text())
    changed = settings | {"pooling": "mean", "delay_ms": 0}
    (model / "hear_aesthetics.json").write_text(json.dumps(changed))
    (model / "muq/another.pt").write_bytes(b"weights that nobody reads")
    outcome = command(*words)
    assert (outcome.code, outcome.errors) == (0, [])
    assert outcome.notes[-1] == "12 files stored"
    assert files(tmp_path / "store") == before


@pytest.mark.slow
def test_the_index_lists_what_the_last_command_asked_for(command, prepared, tmp_path):
    words = ("songeval", "features", prepared, "--out", tmp_path, "--model", "mini")
    for count in (2, 1):
        assert command(*words, "--augmentations", count).code == 0
    assert set(FeatureStore(tmp_path).index()["version"]) == {"original", "aug1"}
    refused = command(*words, "--augmentations", 1, "--seed", 1)
    assert refused.code == 2
    assert "seed was 0, now 1" in refused.errors[0]


@pytest.mark.slow
def test_the_published_versions_come_with_a_warning(command, prepared, tmp_path):
    words = (prepared, "--out", tmp_path / "store", "--model", "mini", "--versions", "published")
    outcome = command("songeval", "features", *words)
    assert outcome.code == 0
    assert any("only the last is made" in note for note in outcome.notes)
    versions = FeatureStore(tmp_path / "store").index()["version"].value_counts()
    assert dict(versions) == {"original": 12, "published3": 8}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--states", "muq_09"], "hidden states [9] asked for; there are 0 to 6"),
        (["--states", "song"], "'song'"),
        (["--model", "nowhere"], "nowhere"),
        (["--versions", "published", "--augmentations", "0"], "make at least one"),
        (["--augmented", "nowhere"], "run `songeval augment` first"),
    ],
)
def test_wrong_usage_is_one_line(command, prepared, tmp_path, words, message):
    default = [] if "--model" in words else ["--model", "mini"]
    outcome = command("songeval", "features", prepared, "--out", tmp_path, *default, *words)
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert message in outcome.errors[0]


def test_an_unprepared_folder_is_refused(command, tmp_path):
    outcome = command("songeval", "features", tmp_path, "--out", tmp_path / "x", "--model", "mini")
    assert outcome.code == 2
    assert "run `songeval prepare`" in outcome.errors[0]


def test_audio_may_come_from_a_container_and_has_to_be_what_was_prepared(
    command, prepared, whole, tmp_path
) -> None:
    root = Path(json.loads((prepared / "dataset.json").read_text())["root"])
    songs = sorted(path for path in root.rglob("*.mp3"))
    names = [path.relative_to(root).as_posix() for path in songs]
    box = tmp_path / "songs.tar"
    with tarfile.open(box, "w") as tar:
        for path, name in zip(songs, names, strict=True):
            tar.add(path, name)
    words = ("songeval", "features", prepared, "--model", "mini", "--audio", box, "--out")
    assert command(*words, tmp_path / "store").code == 0
    assert files(tmp_path / "store").keys() == files(whole).keys()
    with tarfile.open(box, "w") as tar:
        for path, name in zip([songs[1], *songs[1:]], names, strict=True):
            tar.add(path, name)
    other = command(*words, tmp_path / "other")
    assert other.code == 3
    (line,) = other.errors
    assert f"{box}/{names[0]}: not the audio that was prepared" in line
    with tarfile.open(box, "w") as tar:
        tar.add(songs[0], names[0])
    lacking = command(*words, tmp_path / "third")
    assert lacking.code == 2
    assert "is not in --audio" in lacking.errors[0]
