"""Scorers of other packages: found by name, asked for no more than they read."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from hear_aesthetics import scorers
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import HiddenState
from hear_aesthetics.scorers import hidden_states, load_saved, load_scorer, reads_of, scorer_names


class Length:
    """Scores the length of the prompt; says nothing of what it reads."""

    columns = ("length",)

    def __call__(self, features, row):
        return {"length": float(len(row["prompt"]))}


@pytest.fixture
def installed(monkeypatch) -> None:
    """One scorer, ``length``, as a package would register it."""
    entry = EntryPoint("length", f"{__name__}:Length", scorers.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: Length)
    monkeypatch.setattr(scorers, "entry_points", lambda **keys: EntryPoints([entry]).select(**keys))


def test_a_registered_scorer_is_found_by_its_name(installed) -> None:
    assert scorer_names() == ["length"]
    assert isinstance(load_scorer("length"), Length)


def test_unknown_names_list_the_known_ones(installed) -> None:
    with pytest.raises(ValueError, match="unknown scorer 'width'; known: length"):
        load_scorer("width")


@pytest.mark.parametrize("value", ["hear_aesthetics.scorers:Gone", "no_such_module:Length"])
def test_a_package_that_cannot_be_imported_is_named(monkeypatch, value) -> None:
    entry = EntryPoint("length", value, scorers.GROUP)
    monkeypatch.setattr(scorers, "entry_points", lambda **keys: EntryPoints([entry]).select(**keys))
    with pytest.raises(InputError, match=f"scorer length: {value} of its package cannot be impor"):
        load_scorer("length")


def test_without_scorers_the_message_says_so(monkeypatch) -> None:
    monkeypatch.setattr(scorers, "entry_points", lambda **_: EntryPoints([]))
    with pytest.raises(ValueError, match="known: none: no package that scores is installed"):
        load_scorer("demo")


def test_saved_heads_are_found_by_the_kind_their_file_names(monkeypatch) -> None:
    entry = EntryPoint("KnownHead", f"{__name__}:Length", scorers.SAVED_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda path: (self.name, path))
    monkeypatch.setattr(scorers, "entry_points", lambda **keys: EntryPoints([entry]).select(**keys))
    assert load_saved("KnownHead", Path("run")) == ("KnownHead", Path("run"))
    assert load_saved("OtherHead", Path("run")) is None


def test_a_scorer_that_says_nothing_reads_the_fused_feature() -> None:
    assert reads_of(Length()) == ("fused",)


def test_hidden_states_are_collected_once() -> None:
    reads = ["muq_06", "fused", "musicfm_10", "muq_12", "muq_06"]
    assert hidden_states(reads) == (
        HiddenState("muq", 6),
        HiddenState("musicfm", 10),
        HiddenState("muq", 12),
    )


@pytest.mark.parametrize("name", ["muq", "muq_", "muq_x", "muq_-1", "clap_06", ""])
def test_names_of_no_state_are_refused(name) -> None:
    with pytest.raises(ValueError, match="is no hidden state; write one such as 'muq_06'"):
        hidden_states([name])
