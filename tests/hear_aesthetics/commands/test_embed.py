"""``hear-aesthetics embed`` on real and broken files: what is written, said and returned."""

import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

import hear_aesthetics
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.cli import main
from hear_aesthetics.commands.embed import Kind
from hear_aesthetics.engine.embedding_files import KINDS, read_embedding, read_meta


class Outcome(NamedTuple):
    code: int
    out: str
    errors: list[str]  # lines of stderr that are errors
    notes: list[str]  # and those that are not


@pytest.fixture
def embed(capsys: pytest.CaptureFixture) -> Callable[..., Outcome]:
    def run(*words: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(["embed", *map(str, words)])
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        return Outcome(
            int(exit_.value.code or 0), captured.out, errors, [x for x in lines if x not in errors]
        )

    return run


@pytest.fixture
def songs(tmp_path: Path, write_tone) -> Path:
    """Two files of one name in two folders, of two formats and lengths."""
    write_tone(tmp_path / "songs" / "song.wav", seconds=0.5)
    live = tmp_path / "songs" / "live" / "song.flac"
    write_tone(live, seconds=0.7, sample_rate=44_100, channels=2)
    return tmp_path / "songs"


def made(folder: Path) -> dict[str, float]:
    """The files below a folder, and when each was written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_gets_its_embedding_and_where_it_came_from(embed, songs, tmp_path, kind) -> None:
    outcome = embed(songs, "--out", tmp_path / "out", "--kind", kind)
    assert (outcome.code, outcome.errors, outcome.out) == (0, [], "")
    assert list(made(tmp_path / "out")) == ["live/song.flac.npz", "song.wav.npz"]
    embedding, timestamps, meta = read_embedding(tmp_path / "out" / "live" / "song.flac.npz")
    frames = () if kind == "scene" else (18,)  # 0.7 s at 25 per second, begun ones included
    assert embedding.shape == (*frames, 1280 if frames else 2560)
    assert timestamps.tolist() == [40.0 * i for i in range(sum(frames))]
    assert embedding.dtype == timestamps.dtype == np.float32
    assert meta["path"] == str(songs / "live" / "song.flac")
    assert meta["duration"] == pytest.approx(0.7)
    assert (meta["kind"], meta["sample_rate"]) == (kind, KINDS[kind].sample_rate)
    assert meta["model"] == hear_aesthetics.load_model().provenance()


def test_a_scene_is_that_of_the_hear_function(embed, songs, tmp_path) -> None:
    embed(songs / "song.wav", "--out", tmp_path)
    model = hear_aesthetics.load_model()
    audio = torch.from_numpy(load_audio(songs / "song.wav", model.sample_rate))[None]
    expected = hear_aesthetics.get_scene_embeddings(audio, model)[0]
    embedding = torch.from_numpy(read_embedding(tmp_path / "song.wav.npz").embedding)
    torch.testing.assert_close(embedding, expected, rtol=1e-5, atol=1e-5)


def test_kinds_are_those_of_the_library() -> None:
    assert get_args(Kind) == tuple(KINDS)


@pytest.mark.parametrize("status", ["untrained", "published"])
def test_an_untrained_model_is_said_once(embed, songs, tmp_path, status) -> None:
    bundled = hear_aesthetics.load_model().files.config.parent
    folder = shutil.copytree(bundled, tmp_path / "own")
    config = json.loads((folder / "hear_aesthetics.json").read_text())
    (folder / "hear_aesthetics.json").write_text(json.dumps(config | {"status": status}))
    outcome = embed(songs, "--out", tmp_path / "out", "--model", folder)
    assert outcome.code == 0
    said = [line for line in outcome.notes if "model own is untrained" in line]
    assert len(said) == (status == "untrained")
    meta = read_meta(tmp_path / "out" / "song.wav.npz")
    assert meta["model"]["status"] == status


def test_broken_files_cost_a_line_each_and_the_rest_is_made(
    embed, broken_audio_folder, tmp_path, write_tone
) -> None:
    for number in range(30):
        seconds = (0.5, 0.7, 1.0)[number % 3]
        write_tone(broken_audio_folder / f"good{number}.wav", seconds, frequency=200 + 10 * number)
    outcome = embed(broken_audio_folder, "--out", tmp_path / "out")
    assert outcome.code == 3
    assert len(made(tmp_path / "out")) == 30
    assert len(outcome.errors) == 12
    named = {re.search(rf"{broken_audio_folder}/(\S+?):", line)[1] for line in outcome.errors}
    assert len(named) == 12
    assert outcome.notes[-1] == "30 files embedded, 12 failed"


def test_nothing_but_broken_files_is_a_failure(embed, broken_audio_folder, tmp_path) -> None:
    outcome = embed(broken_audio_folder, "--out", tmp_path / "out")
    assert (outcome.code, len(outcome.errors)) == (1, 12)


def test_a_name_that_does_not_exist_is_one_error_beside_the_others(embed, songs, tmp_path) -> None:
    outcome = embed(songs, tmp_path / "typo.wav", "--out", tmp_path / "out")
    assert outcome.code == 3
    assert len(outcome.errors) == 1
    assert "typo.wav" in outcome.errors[0]


def test_spans_of_a_file_get_files_of_their_own(embed, songs, tmp_path) -> None:
    rows = [{"path": "song.wav", "start_time": 0.1 * n, "end_time": 0.1 * n + 0.2} for n in (0, 1)]
    (songs / "spans.jsonl").write_text("\n".join(map(json.dumps, rows)))
    outcome = embed(songs / "spans.jsonl", songs / "song.wav", "--out", tmp_path / "out")
    assert outcome.code == 0
    files = list(made(tmp_path / "out"))
    assert len(files) == 3
    meta = read_meta(tmp_path / "out" / next(name for name in files if "0.1-" in name))
    assert (meta["start"], round(meta["duration"], 3)) == (0.1, 0.2)


def test_what_is_there_is_kept_and_the_rest_is_made(embed, songs, tmp_path) -> None:
    out = tmp_path / "out"
    embed(songs, "--out", out)
    before = made(out)
    (out / "song.wav.npz").unlink()
    outcome = embed(songs, "--out", out)
    after = made(out)
    assert after["live/song.flac.npz"] == before["live/song.flac.npz"]
    assert after.keys() == before.keys()
    assert outcome.code == 0
    assert any(line.startswith("1 of them") and "--overwrite" in line for line in outcome.notes)


def test_overwrite_makes_all_again(embed, songs, tmp_path) -> None:
    out = tmp_path / "out"
    embed(songs, "--out", out)
    before = made(out)
    embed(songs, "--out", out, "--overwrite")
    assert all(made(out)[name] > time for name, time in before.items())


def test_a_torn_file_is_made_again(embed, songs, tmp_path) -> None:
    torn = tmp_path / "out" / "song.wav.npz"
    embed(songs, "--out", tmp_path / "out")
    whole = torn.read_bytes()
    torn.write_bytes(whole[:1000])
    embed(songs, "--out", tmp_path / "out")
    assert torn.read_bytes() == whole


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        (["--kind", "features"], "kind was scene, now features"),
        (["--layer", "3"], r"layer was \[2, 5\], now 3"),
        (["--layer", "2,4"], r"layer was \[2, 5\], now \[2, 4\]"),
        (["--sources", "muq"], r"sources was \['musicfm', 'muq'\], now \['muq'\]"),
        (["--pooling", "mean"], "pooling was mean[+]std, now mean"),
        (["--precision", "bfloat16"], "precision was float32, now bfloat16"),
    ],
)
def test_a_folder_holds_embeddings_of_one_origin(
    embed, songs, tmp_path, options, difference
) -> None:
    out = tmp_path / "out"
    embed(songs, "--out", out)
    before = made(out)
    outcome = embed(songs, "--out", out, *options)
    assert outcome.code == 2
    assert re.search(rf"npz: made with .*{difference}", outcome.errors[0])
    assert made(out) == before
    assert embed(songs, "--out", out, "--overwrite", *options).code == 0


@pytest.fixture
def own(tmp_path) -> Path:
    """A copy of the bundled model, to be changed."""
    return shutil.copytree(hear_aesthetics.load_model().files.config.parent, tmp_path / "own")


def _delay(folder: Path) -> None:
    config = json.loads((folder / "hear_aesthetics.json").read_text())
    (folder / "hear_aesthetics.json").write_text(json.dumps(config | {"delay_ms": 200}))


def _centre(folder: Path) -> None:
    constants = load_file(folder / "centring.safetensors")
    save_file({name: 2 * x for name, x in constants.items()}, folder / "centring.safetensors")


def _normalise(folder: Path) -> None:
    config = json.loads((folder / "muq" / "config.json").read_text())
    config["stat"]["melspec_2048_std"] *= 2
    (folder / "muq" / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "kept"),
    [(_delay, ["features"]), (_centre, ["features"]), (_normalise, [])],
    ids=["delay", "centring", "statistics"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_decides_the_numbers_is_not_mixed(
    embed, songs, own, tmp_path, change, kept, kind
) -> None:
    words = songs / "song.wav", "--out", tmp_path / "out", "--model", own, "--kind", kind
    embed(*words)
    before = made(tmp_path / "out")
    change(own)
    outcome = embed(*words)
    assert outcome.code == (0 if kind in kept else 2)
    assert len(outcome.errors) == (0 if kind in kept else 1)
    assert made(tmp_path / "out") == before


def test_weights_that_are_read_decide_and_others_do_not(
    embed, songs, tiny_model_directory, tmp_path
) -> None:
    own = shutil.copytree(tiny_model_directory, tmp_path / "own")
    words = songs / "song.wav", "--out", tmp_path / "out", "--model", own
    embed(*words)
    save_file({"x": torch.zeros(1)}, own / "musicfm" / "model.safetensors")  # .pt is read first
    assert embed(*words).code == 0
    weights = torch.load(own / "musicfm" / "pretrained_msd.pt", weights_only=True)
    weights["state_dict"]["model.conv.linear.bias"] += 1
    torch.save(weights, own / "musicfm" / "pretrained_msd.pt")
    outcome = embed(*words)
    assert outcome.code == 2
    assert "encoders.musicfm.sha256 was" in outcome.errors[0]


def test_where_weights_lie_and_which_version_reads_them_decides_nothing(
    embed, songs, own, tmp_path, monkeypatch
) -> None:
    embed(songs, "--out", tmp_path / "out")
    before = made(tmp_path / "out")
    monkeypatch.setattr("hear_aesthetics.model.__version__", "99")
    assert embed(songs, "--out", tmp_path / "out", "--model", own).code == 0
    assert made(tmp_path / "out") == before


def test_another_file_of_the_same_name_is_refused(embed, songs, tmp_path, write_tone) -> None:
    out = tmp_path / "out"
    embed(songs, "--out", out)
    before = made(out)
    other = write_tone(tmp_path / "other" / "song.wav", seconds=0.5, frequency=300)
    outcome = embed(other, "--out", out)
    assert outcome.code == 2
    assert f"now {str(other)[:20]}" in outcome.errors[0]
    assert made(out) == before
    new = write_tone(tmp_path / "other" / "new.wav", seconds=0.5)
    assert embed(other, new, "--out", out).code == 3  # the rest is made all the same
    assert made(out).keys() == {*before, "new.wav.npz"}


def test_a_file_that_has_changed_is_embedded_again(embed, songs, tmp_path, write_tone) -> None:
    out = tmp_path / "out"
    embed(songs, "--out", out)
    before, old = made(out), read_embedding(out / "song.wav.npz").embedding
    write_tone(songs / "song.wav", seconds=0.6, frequency=300)
    outcome = embed(songs, "--out", out)
    assert (outcome.code, outcome.errors) == (0, [])
    assert made(out)["live/song.flac.npz"] == before["live/song.flac.npz"]
    assert np.abs(read_embedding(out / "song.wav.npz").embedding - old).max() > 0.1


def test_audio_too_loud_for_numbers_is_an_error_and_not_an_embedding(
    embed, songs, tmp_path
) -> None:
    loud = songs / "loud.wav"
    soundfile.write(loud, np.full(24_000, 1e30), 24_000, subtype="DOUBLE")
    outcome = embed(songs, "--out", tmp_path / "out")
    assert outcome.code == 3
    assert len(outcome.errors) == 1
    assert "loud.wav" in outcome.errors[0]
    assert "loud.wav.npz" not in made(tmp_path / "out")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(embed, songs, own, tmp_path, value) -> None:
    path = own / "muq" / "model.safetensors"
    weights = load_file(path)
    next(x for x in weights.values() if x.is_floating_point()).view(-1)[0] = value
    save_file(weights, path)
    outcome = embed(songs, "--out", tmp_path / "out", "--model", own)
    assert outcome.code != 0
    assert len(outcome.errors) == 1
    assert re.search(r"muq/model\.safetensors: .*not finite", outcome.errors[0])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/self"])
def test_a_folder_that_takes_no_files_is_refused_before_the_first_song(
    embed, songs, tmp_path, out, monkeypatch
) -> None:
    (tmp_path / "file").touch()
    if not (tmp_path / out).exists() and out.startswith("/"):
        pytest.skip("no folder that even an administrator cannot write to")
    monkeypatch.setattr("hear_aesthetics.engine.embedding_files.run", None)  # encoding would fail
    outcome = embed(songs, "--out", tmp_path / out)
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert "takes no files" in outcome.errors[0]


def test_options_reach_the_model(embed, songs, tmp_path) -> None:
    options = ["--sources", "muq,musicfm", "--views", "track", "--layer", "2"]
    embed(songs / "song.wav", "--out", tmp_path, "--pooling", "mean+std", *options)
    embedding, _, meta = read_embedding(tmp_path / "song.wav.npz")
    assert embedding.shape == (2 * 2 * 160,)
    assert meta["model"]["sources"] == ["muq", "musicfm"]
    assert meta["model"]["views"] == ["track"]
    assert meta["model"]["layer"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "frames"], "'scene'"),
        (["--precision", "int4"], "'bfloat16'"),
        (["--pooling", "max"], "'mean'"),
        (["--layer", "99"], "hidden states"),
        (["--layer", "2;4"], "layer is '2;4'"),
        (["--sources", "clap"], "'musicfm'"),
        (["--model", "huge"], "mini"),
    ],
)
def test_wrong_options_list_the_right_ones(embed, songs, tmp_path, options, message) -> None:
    outcome = embed(songs, "--out", tmp_path / "out", *options)
    assert outcome.code == 2
    assert message in "\n".join(outcome.errors + outcome.notes)
    assert not (tmp_path / "out").exists()


def test_the_summary_is_json_for_a_program(embed, songs, broken_audio_folder, tmp_path) -> None:
    out = tmp_path / "out"
    embed(songs / "song.wav", "--out", out)
    broken = broken_audio_folder / "empty.wav"
    outcome = embed(songs, broken, "--out", out, "--json")
    summary = json.loads(outcome.out)
    counts = {key: summary[key] for key in ("made", "kept", "failed")}
    assert counts == {"made": 1, "kept": 1, "failed": 1}
    assert summary["audio_seconds"] == pytest.approx(0.7)
    assert str(broken) in summary["errors"][0]
    assert summary["model"]["model"] == "mini"


def test_a_place_that_cannot_be_written_costs_that_file(embed, songs, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "live").write_text("a file where a folder is needed")
    outcome = embed(songs, "--out", tmp_path / "out")
    assert outcome.code == 3
    assert len(outcome.errors) == 1
    assert "cannot be written" in outcome.errors[0]
    assert (tmp_path / "out" / "song.wav.npz").is_file()


def test_a_full_disk_ends_the_run_with_one_line(embed, songs, tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    outcome = embed(songs, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "No space left" in outcome.errors[0]


def test_a_file_over_the_limit_is_an_error_that_names_the_option(embed, songs, tmp_path) -> None:
    words = songs, "--out", tmp_path / "out", "--max-minutes"
    outcome = embed(*words, 0.6 / 60)
    assert outcome.code == 3
    assert "live/song.flac: more than 0.01 min of audio" in outcome.errors[0]
    assert "--max-minutes" in outcome.errors[0]
    assert embed(*words, 0.8 / 60).code == 0


@pytest.mark.slow
def test_the_real_song(embed, shared, tmp_path) -> None:
    outcome = embed(shared / "audio", "--out", tmp_path, "--kind", "timestamps")
    assert (outcome.code, outcome.errors) == (0, [])
    embedding, timestamps, meta = read_embedding(tmp_path / "songeval_example.mp3.npz")
    assert meta["duration"] == pytest.approx(144.4, abs=0.1)
    assert len(embedding) == len(timestamps)
    assert meta["duration"] * 1000 - timestamps[-1] <= 40
    assert np.isfinite(embedding).all()


NPY = ("--kind", "features", "--format", "npy")


def test_npy_files_hold_the_fused_feature_bit_for_bit(embed, songs, tmp_path, write_tone) -> None:
    for number in range(3):  # of one length, so that a batch could hold them
        write_tone(songs / f"take{number}.wav", seconds=0.5)
    out = tmp_path / "test_embedding"
    assert embed(songs, "--out", out, *NPY).code == 0
    model = hear_aesthetics.load_model("mini")
    for song in sorted(songs.rglob("*.*")):
        waveform = torch.from_numpy(load_audio(song))[None]
        array = np.load((out / song.relative_to(songs)).with_suffix(".npy"))
        assert array.dtype == np.float32
        assert np.array_equal(array, model.extract(waveform).fused.numpy())


def test_the_released_list_names_audio_and_array(embed, songs, tmp_path) -> None:
    out = tmp_path / "test_embedding"
    embed(songs, tmp_path / "absent.wav", "--out", out, *NPY)
    lines = (tmp_path / "test_embedding.txt").read_text().splitlines()
    assert lines == [
        f"{songs / 'live' / 'song.flac'}\t{out / 'live' / 'song.npy'}",
        f"{songs / 'song.wav'}\t{out / 'song.npy'}",
    ]


def test_npy_files_are_kept_unless_the_audio_or_the_settings_changed(
    embed, songs, tmp_path, write_tone
) -> None:
    out = tmp_path / "out"
    assert embed(songs, "--out", out, *NPY).code == 0
    before = made(out)
    assert set(before) == {
        *("live/song.npy", "live/song.npy.json", "song.npy", "song.npy.json"),
    }
    (out / "song.npy").unlink()
    assert embed(songs, "--out", out, *NPY).code == 0
    assert made(out)["live/song.npy"] == before["live/song.npy"]
    assert made(out)["song.npy"] != before["song.npy"]
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 2
    outcome = embed(songs, "--out", out, *NPY, "--layer", 1)
    assert re.search(r"npy: made with .*layer", outcome.errors[0])
    write_tone(songs / "song.wav", seconds=0.9)
    assert embed(songs, "--out", out, *NPY).code == 0
    assert np.load(out / "song.npy").shape[1] > np.load(out / "live" / "song.npy").shape[1]


def test_an_array_of_someone_else_is_never_replaced_unasked(embed, songs, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    np.save(out / "song.npy", np.ones(3))
    outcome = embed(songs, "--out", out, *NPY)
    assert outcome.code == 3
    assert "song.npy: is there, without a record of what made it" in outcome.errors[0]
    assert np.array_equal(np.load(out / "song.npy"), np.ones(3))
    assert embed(songs, "--out", out, *NPY, "--overwrite").code == 0
    assert np.load(out / "song.npy").ndim == 3


def test_names_that_no_list_holds_are_left_out_and_the_same_command_goes_on(
    embed, songs, tmp_path
) -> None:
    shutil.copy(songs / "song.wav", songs / "two\nlines.wav")
    shutil.copy(songs / "song.wav", songs / "a\ttab.wav")
    for _ in range(2):
        outcome = embed(songs, "--out", tmp_path / "out", *NPY)
        assert outcome.code == 3
        assert (
            sum("rename the file" in line for line in "".join(outcome.errors).split("error:")) == 2
        )
        assert len((tmp_path / "out.txt").read_text().splitlines()) == 2


def test_two_files_of_one_array_and_a_list_that_is_none_are_one_line(
    embed, songs, tmp_path
) -> None:
    shutil.copy(songs / "song.wav", songs / "song.wave")
    outcome = embed(songs / "song.wav", songs / "song.wave", "--out", tmp_path / "out", *NPY)
    assert outcome.code == 3
    assert "song.wave: would share" in outcome.errors[0]
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 1
    (tmp_path / "songs.txt").write_text("songs/song.wav\n")
    outcome = embed(tmp_path / "songs.txt", "--out", tmp_path / "songs", *NPY)
    assert outcome.code == 2
    assert "songs.txt: is there, and lists no features" in outcome.errors[0]
    outcome = embed(songs, "--out", tmp_path / "scene", "--format", "npy")
    assert outcome.code == 2
    assert "add --kind features" in outcome.errors[0]
