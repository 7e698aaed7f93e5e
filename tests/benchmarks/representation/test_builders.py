"""Rows of the tasks, from made-up packages of a few clips."""

import tomllib

import numpy as np
import pytest
import soundfile

from benchmarks.representation import __main__ as representation
from benchmarks.representation.builders import RATE, composers, disguise, drums, letters, prompts
from benchmarks.representation.packages import unpack
from hear_aesthetics.errors import DataUnavailableError

FIXED = tomllib.loads(representation.SETTINGS.read_text(encoding="utf-8"))


def _tone(path, frequency, seconds=0.5, rate=8_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * frequency * times), rate)


def test_nine_tasks_count_and_every_contender_is_a_module_of_this_project():
    assert sum(task.get("counted", False) for task in FIXED["tasks"].values()) == 9
    names = {contender["module"] for contender in FIXED["contenders"].values()}
    root = representation.SETTINGS.parents[2]
    for name in names - {"hear_aesthetics"}:
        assert root.joinpath(*name.split(".")).with_suffix(".py").is_file()


def test_drums_take_classes_by_name_and_a_shared_recording_once(tmp_path):
    for kit in ("one", "two"):
        folder = tmp_path / "kits" / kit
        for name, frequency in (("a", 100), ("b", 900), ("c", 2000)):
            _tone(folder / f"{name}.wav", frequency + (50 if kit == "two" and name == "b" else 0))
        instruments = (("Kick 1", "a"), ("Closed HH", "b"), ("Whistle", "c"))
        text = "".join(
            f"<instrument><name>{name}</name><layer><filename>{file}.wav</filename></layer>"
            "</instrument>"
            for name, file in instruments
        )
        (folder / "drumkit.xml").write_text(f'<drumkit_info xmlns="x">{text}</drumkit_info>')
    rows = list(drums(FIXED["tasks"]["drum"], [tmp_path]))
    assert [(row.label, row.group) for row in rows] == [
        ("kick", "one"), ("closed hat", "one"), ("closed hat", "two"),
    ]  # fmt: skip
    assert {len(row.wave) for row in rows} == {RATE}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Hat 1 Pd", "pedal hat"),
        ("HiHat", ""),
        ("Hat Open", "open hat"),
        ("Hi-Hat Closed (Alpha 14)", "closed hat"),
        ("Hat Closed Bs", "closed hat"),
        ("Side Stick", "stick"),
        ("Snare Rimshot", "snare"),
        ("Floor Tom", "tom"),
    ],
)
def test_names_of_instruments_have_the_class_that_their_words_say(name, label):
    from benchmarks.representation.builders import _first_match

    assert _first_match(FIXED["tasks"]["drum"]["classes"], name.casefold()) == label


def test_letters_are_those_of_the_alphabet_in_latin_letters(tmp_path):
    for language in ("en", "fr"):
        folder = tmp_path / "klettres" / language
        for letter in "ab":
            _tone(folder / "alpha" / f"{letter}.wav", 300 if letter == "a" else 500)
        sounds = "".join(
            f'<sound name="{name}" file="{language}/alpha/{file}.wav" />'
            for name, file in (("A", "a"), ("B", "b"), ("\N{LATIN CAPITAL LETTER AE}", "a"))
        )
        text = f'<alphabet>{sounds}</alphabet><sound name="C" file="{language}/alpha/a.wav" />'
        (folder / "sounds.xml").write_text(text, encoding="utf-8")
    settings = {"seconds": 1.0, "languages": [["en"], ["fr"]]}
    rows = [(row.label, row.group) for row in letters(settings, [tmp_path])]
    assert rows == [("a", "en"), ("b", "en"), ("a", "fr"), ("b", "fr")]


def test_prompts_are_those_that_every_voice_speaks(tmp_path):
    for voice, names in (("v1", "xyz"), ("v2", "xy")):
        for name in names:
            _tone(tmp_path / voice / "usr/share/asterisk/sounds" / voice / f"{name}.wav", 300)
    settings = {"seconds": 0.5, "seed": 1, "clips": 100}
    rows = list(prompts(settings, [tmp_path / "v1", tmp_path / "v2"]))
    assert sorted((row.label, row.group) for row in rows) == [
        (voice, f"{name}.wav") for voice in ("v1", "v2") for name in "xy"
    ]


def test_excerpts_are_of_the_track_and_a_missing_track_is_named(tmp_path):
    _tone(tmp_path / "t.ogg", 440, seconds=4.0, rate=44_100)
    settings = {"seed": 1, "seconds": 1.0, "per_track": 3, "tracks": {"she": ["t"]}}
    rows = list(composers(settings, [tmp_path]))
    assert [(row.label, row.group, len(row.wave)) for row in rows] == [("she", "t", RATE)] * 3
    with pytest.raises(DataUnavailableError, match=r"gone\.ogg"):
        list(composers(settings | {"tracks": {"she": ["gone"]}, "packages": ["p"]}, [tmp_path]))


def test_a_disguise_changes_the_colour_by_6_db_at_most_and_the_level():
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    first, again, other = (disguise(noise, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() != pytest.approx(np.abs(other).max(), rel=0.01)
    gain = 20 * np.log10(np.abs(np.fft.rfft(first)) / np.abs(np.fft.rfft(noise)))[1:-1]
    assert 2.0 < gain.max() - gain.min() < 12.01


def test_a_missing_package_is_one_line_that_names_it(tmp_path, monkeypatch):
    script = tmp_path / "apt-get"
    script.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(DataUnavailableError, match="no-such: E: Unable to locate") as error:
        unpack("no-such", tmp_path / "cache")
    assert "\n" not in str(error.value)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(DataUnavailableError, match="no-such: apt-get is missing"):
        unpack("no-such", tmp_path / "cache")
    assert not any((tmp_path / "cache").iterdir())
