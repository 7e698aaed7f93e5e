import json
from dataclasses import replace
from pathlib import Path

import pytest

from hear_aesthetics.checkpoints import (
    CHECKPOINTS,
    Files,
    Whereabouts,
    by_name,
    find,
    locate_checkpoint,
    locate_model,
    sources,
    whereabouts,
)
from hear_aesthetics.errors import CheckpointError, WeightsUnavailableError


@pytest.fixture
def tiny_pair(tiny, monkeypatch):
    """A pair ``tiny-pair`` of the fake hub's checkpoint, once as MuQ and once as MusicFM."""
    other = replace(tiny, name="tiny-fm", folder="musicfm")
    pair = replace(
        tiny, name="tiny-pair", kind="model", repo=None, files=(), parts=("tiny", "tiny-fm")
    )
    for record in (other, pair):
        monkeypatch.setitem(CHECKPOINTS, record.name, record)
    return pair


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A bundled ``mini`` with both encoders and a configuration."""
    monkeypatch.setattr(sources, "BUNDLED", tmp_path / "weights")
    return _model_directory(tmp_path / "weights" / by_name("mini").newest)


def _model_directory(folder: Path) -> Path:
    for encoder in ("muq", "musicfm"):
        (folder / encoder).mkdir(parents=True)
    (folder / "hear_aesthetics.json").write_text("{}")
    return folder


def _encoders(folder: Path) -> dict[str, Files]:
    return {"musicfm": Files(folder / "musicfm"), "muq": Files(folder / "muq")}


def _fill(folder: Path, record) -> Path:
    folder.mkdir(parents=True)
    for file in record.files:
        (folder / file.name).write_bytes(b"the user's own")
    return folder


def test_a_directory_is_taken_as_it_is(tmp_path):
    assert locate_checkpoint(tmp_path) == locate_checkpoint(str(tmp_path)) == Files(tmp_path)


def test_a_name_wins_over_a_directory_called_the_same(offline_home, monkeypatch):
    (offline_home / "muq").mkdir()
    monkeypatch.chdir(offline_home)
    with pytest.raises(WeightsUnavailableError):
        locate_checkpoint("muq")
    assert locate_checkpoint("./muq").folder == Path("muq")


def test_a_directory_wins_over_a_repository_called_the_same(offline_home, monkeypatch):
    monkeypatch.chdir(offline_home)
    clone = Path("OpenMuQ/MuQ-large-msd-iter")
    clone.mkdir(parents=True)
    assert locate_checkpoint(str(clone)) == Files(clone)


def test_home_comes_before_the_hub_and_is_not_checked(tiny, fake_hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path / "home"))
    own = _fill(tmp_path / "home" / "tiny", tiny)
    assert locate_checkpoint("tiny").folder == own
    assert locate_checkpoint(tiny.repo).folder == own
    assert fake_hub.requests == []


def test_home_without_that_checkpoint_falls_through_to_the_hub(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    assert locate_checkpoint("tiny").folder.name == tiny.revision


def test_an_incomplete_folder_in_home_names_what_it_lacks(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    (_fill(tmp_path / "tiny", tiny) / "weights.bin").unlink()
    with pytest.raises(CheckpointError, match=r"tiny lacks weights\.bin; .*models info tiny"):
        locate_checkpoint("tiny")


def test_an_unknown_source_lists_names_and_repositories():
    with pytest.raises(ValueError, match=r"'/no/such' is no directory.*muq.*minzwon/MusicFM"):
        locate_checkpoint("/no/such")


def test_a_pair_is_not_one_folder():
    with pytest.raises(ValueError, match="large is two checkpoints: muq and musicfm-msd"):
        locate_checkpoint("large")


def test_mini_is_bundled(bundled):
    files = locate_model("mini")
    assert files.encoders == _encoders(bundled)
    assert files.config == bundled / "hear_aesthetics.json"
    assert files.name == "mini"
    assert files.provenance == {
        "origin": "bundled",
        "licence": "Apache-2.0",
        "status": "trained on rendered audio",
    }
    assert locate_checkpoint("mini").folder == bundled


def test_earlier_weights_keep_their_name(tmp_path):
    """Results that name a version can be made again when ``mini`` is another."""
    files = locate_model("mini-0.1")
    assert files.name == "mini-0.1"
    config = json.loads(files.config.read_text())
    assert (config["layer"], config["delay_ms"]) == (2, 20)


def test_an_installation_without_the_bundled_weights_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BUNDLED", tmp_path)
    with pytest.raises(WeightsUnavailableError, match=r"mini belongs to this package.*install"):
        locate_model("mini")


def test_a_model_directory_shows_its_parts(tmp_path):
    folder = _model_directory(tmp_path / "mine")
    files = locate_model(folder)
    assert (files.name, files.encoders) == ("mine", _encoders(folder))
    assert files.config == folder / "hear_aesthetics.json"
    assert files.provenance == {"origin": "directory"}


def test_a_model_directory_needs_only_the_encoders_asked_for(tmp_path):
    (tmp_path / "muq").mkdir()
    files = locate_model(tmp_path, sources=("muq",))
    assert (files.encoders, files.config) == ({"muq": Files(tmp_path / "muq")}, None)
    with pytest.raises(CheckpointError, match=r"lacks musicfm/.*sources=\('muq',\)"):
        locate_model(tmp_path)


def test_a_pair_comes_from_the_hub_part_by_part(tiny, tiny_pair, fake_hub):
    files = locate_model("tiny-pair")
    assert files.encoders["muq"].folder.name == tiny.revision
    assert files.encoders["musicfm"] == files.encoders["muq"]  # one repository here
    assert files.provenance["origin"] == "hub"
    assert files.provenance["muq"] == f"{tiny.repo}@{tiny.revision}"
    assert locate_model("tiny-pair").provenance["origin"] == "cache"


def test_only_the_parts_asked_for_are_fetched(tiny_pair, fake_hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    own = _fill(tmp_path / "tiny-fm", by_name("tiny-fm"))
    files = locate_model("tiny-pair", sources=("musicfm",))
    assert files.encoders == {"musicfm": Files(own, ("config.json", "weights.bin"))}
    assert fake_hub.requests == []


def test_a_pair_in_home_may_be_a_whole_model_directory(tiny_pair, fake_hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    folder = _model_directory(tmp_path / "tiny-pair")
    files = locate_model("tiny-pair")
    assert (files.name, files.encoders) == ("tiny-pair", _encoders(folder))
    assert files.provenance["origin"] == "home"
    assert fake_hub.requests == []


def test_an_unavailable_pair_names_every_missing_part_at_once(offline_home):
    with pytest.raises(WeightsUnavailableError) as caught:
        locate_model("large")
    message = str(caught.value)
    assert message.startswith("large is not on this machine (muq: 1.33 GB")
    assert "musicfm-msd: 1.32 GB" in message
    assert "models download large" in message
    assert "pretrained_msd.pt, msd_stats.json in DIR/musicfm-msd" in message


@pytest.mark.parametrize("source", ["tiny model", "muq", "/no/such"])
def test_what_is_no_model_lists_the_variants(source):
    with pytest.raises(
        ValueError,
        match=r"neither a variant \(mini, mini-0[.]1, mini-0[.]2, large\) nor a directory",
    ):
        locate_model(source)


def test_find_says_where_without_asking_the_hub(tiny, tiny_pair, fake_hub, bundled):
    assert find(tiny) == []
    assert find(tiny_pair) == []
    assert [found.origin for found in find(by_name("mini"))] == ["bundled"]
    assert fake_hub.requests == []
    folder = locate_checkpoint("tiny").folder
    assert [(found.folder, found.origin) for found in find(tiny)] == [(folder, "cache")]
    assert [found.origin for found in find(tiny_pair)] == ["cache", "cache"]


def test_whereabouts_neither_reads_weights_nor_fails(tiny, fake_hub, tmp_path, monkeypatch):
    assert whereabouts(tiny) == Whereabouts(origin=None)
    folder = locate_checkpoint("tiny").folder
    (folder / "weights.bin").resolve().write_bytes(b"damaged")
    assert whereabouts(tiny) == Whereabouts("cache", (str(folder),))
    assert (folder / "weights.bin").is_file()  # looking deletes nothing
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    assert "lacks config.json" in str(whereabouts(tiny).problem)
