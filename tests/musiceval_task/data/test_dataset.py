"""MusicEval's folder and CSV lists: what is read, and one message for each way to be wrong."""

from pathlib import Path

import pytest

from hear_aesthetics.errors import InputError
from musiceval_task.data.dataset import DEMO_SYSTEMS, PREFIX, clip_id, read_clips, system_of

FIRST = f"{PREFIX}S002_P001.wav"


def test_clips_know_prompt_system_split_and_scores(musiceval: Path) -> None:
    clips = {clip.name: clip for clip in read_clips(musiceval)}
    assert len(clips) == 9
    clip = clips[FIRST]
    assert (clip.system, clip.split, clip.overall, clip.textual) == ("S002", "train", 3.0, 3.5)
    assert clip.prompt == "a slow waltz with harp"
    assert clip.path == musiceval / "wav" / FIRST


def test_demo_systems_take_their_prompt_by_name(musiceval: Path) -> None:
    prompts = {clip.prompt for clip in read_clips(musiceval) if clip.system == "S001"}
    assert all(prompt.startswith("demo of ") for prompt in prompts)
    assert {"S001", "S006", "S013", "S017", "S018", "S033"} == DEMO_SYSTEMS


def test_demo_prompts_may_be_listed_with_or_without_extension(musiceval: Path) -> None:
    table = musiceval / "demo_prompt_info.txt"
    table.write_text(table.read_text().replace("\tdemo", ".wav\tdemo"))
    assert len(read_clips(musiceval)) == 9


def test_only_the_lists_asked_for_are_read(musiceval: Path) -> None:
    (musiceval / "sets" / "train_mos_list.txt").write_text("nonsense")
    assert {clip.split for clip in read_clips(musiceval, ["test"])} == {"test"}


def test_secret_scores_are_unknown(musiceval: Path) -> None:
    (musiceval / "sets" / "test_mos_list.txt").write_text(f"{PREFIX}S002_P003.wav\n")
    (clip,) = read_clips(musiceval, ["test"])
    assert (clip.overall, clip.textual) == (None, None)


def test_further_columns_of_a_list_are_not_read(musiceval: Path) -> None:
    (musiceval / "sets" / "test_mos_list.txt").write_text(f"{PREFIX}S002_P003.wav,3,3.5,7,x\n")
    (clip,) = read_clips(musiceval, ["test"])
    assert (clip.overall, clip.textual) == (3.0, 3.5)


@pytest.mark.parametrize("folder", [".", "audiomos2025-track1-eval-phase/DATA"])
def test_the_eval_list_of_the_challenge_is_the_test_list_without_extensions(
    musiceval: Path, folder: str
) -> None:
    """As published: the ids of clips, which lie beside the list; the prompts are the set's."""
    name = f"{PREFIX}S002_P003"
    (musiceval / "sets" / "test_mos_list.txt").unlink()
    for part in ("sets", "wav"):
        (musiceval / folder / part).mkdir(parents=True, exist_ok=True)
    (musiceval / folder / "sets" / "eval_list.txt").write_text(f"{name}\n")
    audio = musiceval / folder / "wav" / f"{name}.wav"
    if not audio.is_file():
        (musiceval / "wav" / audio.name).rename(audio)
    (clip,) = read_clips(musiceval, ["test"])
    assert (clip.name, clip.split, clip.overall) == (f"{name}.wav", "test", None)
    assert clip.prompt == "solo flute"
    assert clip.path.samefile(audio)
    assert {clip.split for clip in read_clips(musiceval)} == {"train", "test"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{PREFIX}S002_P009.wav,3,3", "has no prompt 'P009'"),
        (f"{PREFIX}S001_P009.wav,3,3", "demo_prompt_info.txt has no prompt 'S001_P009'"),
        (f"{PREFIX}S009_P001.wav,3,3", r"S009_P001.wav is not there"),
        (f"{FIRST},3,3", r"again, first at .*train_mos_list.txt:3"),
        (f"{PREFIX}S002_P003.wav,5.5,3", "score '5.5'; it is a number from 1 to 5"),
        (f"{PREFIX}S002_P003.wav,3,nan", "score 'nan'"),
        (f"{PREFIX}S002_P003.wav,3,good", "score 'good'"),
        (f"{PREFIX}S002_P003.wav,3", "a line is file,overall,textual"),
        (",3,3", "no clip is named"),
    ],
)
def test_a_bad_line_is_one_message_with_its_place(musiceval: Path, line: str, message: str) -> None:
    (musiceval / "sets" / "test_mos_list.txt").write_text(line + "\n")
    with pytest.raises(InputError, match=message) as caught:
        read_clips(musiceval)
    assert "test_mos_list.txt:1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_clip_is_an_error_and_never_another_clip(musiceval: Path) -> None:
    (musiceval / "wav" / FIRST).unlink()
    with pytest.raises(InputError, match=f"{FIRST} is not there; copy it or drop its line"):
        read_clips(musiceval)


@pytest.mark.parametrize("name", ["prompt_info.txt", "sets/test_mos_list.txt"])
def test_a_missing_list_is_named(musiceval: Path, name: str) -> None:
    (musiceval / name).unlink()
    with pytest.raises(InputError, match=name):
        read_clips(musiceval, ["test"])


def test_a_prompt_without_text_or_with_two_is_an_error(musiceval: Path) -> None:
    table = musiceval / "prompt_info.txt"
    good = table.read_text()
    for line, message in (("P004\n", "id<TAB>text"), ("P001\tother\n", "second text for P001")):
        table.write_text(good + line)
        with pytest.raises(InputError, match=message):
            read_clips(musiceval)


def test_an_empty_list_is_an_error(musiceval: Path) -> None:
    (musiceval / "sets" / "test_mos_list.txt").write_text("\n")
    with pytest.raises(InputError, match="no clips of test in it"):
        read_clips(musiceval, ["test"])


def test_csv_rows_are_clips_relative_to_the_file(musiceval: Path) -> None:
    table = musiceval / "clips.csv"
    table.write_text(
        "path,prompt,overall,textual,system,split\n"
        f'wav/{FIRST},"slow, with harp",3.5,,A,test\nwav/{PREFIX}S003_P001.wav,fast,2,4,B,\n'
    )
    first, second = read_clips(table)
    assert (first.prompt, first.overall, first.textual) == ("slow, with harp", 3.5, None)
    assert (first.system, first.split, second.split) == ("A", "test", "train")
    assert first.path.samefile(musiceval / "wav" / FIRST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,overall\n", "no column prompt"),
        (f"path,prompt\nwav/{FIRST},\n", "has no prompt"),
        ("path,prompt\nwav/none.wav,slow\n", "none.wav is not there"),
        (f"path,prompt,overall\nwav/{FIRST},slow,9\n", "score '9'"),
        (f"path,prompt\nwav/{FIRST},a\nwav/{FIRST},b\n", "again, first at"),
        (f"path,prompt,split\nwav/{FIRST},a,validation\n", "split 'validation'"),
    ],
)
def test_a_bad_csv_is_one_message(musiceval: Path, text: str, message: str) -> None:
    table = musiceval / "clips.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        read_clips(table)


def test_a_prompt_may_hold_any_character(musiceval: Path) -> None:
    prompts = musiceval / "prompt_info.txt"
    prompts.write_text(
        f"P001\tslow\u2028with\x0bharp\n{prompts.read_text()}".replace("P001\t", "P000\t", 1)
    )
    assert read_clips(musiceval)


def test_names_take_apart_as_published() -> None:
    name = "audiomos2025-track1-S017_P125.wav"
    assert (clip_id(name), system_of(name)) == ("audiomos2025-track1-S017_P125", "S017")


def test_a_clip_has_one_name_however_it_is_spelt(musiceval: Path) -> None:
    (musiceval / "sets" / "test_mos_list.txt").write_text(f"./{FIRST},3,3\n{FIRST},3,3\n")
    with pytest.raises(InputError, match=rf"test_mos_list\.txt:2: {FIRST} again"):
        read_clips(musiceval, ["test"])
    (musiceval / "list.csv").write_text(f"path,prompt\n./wav/{FIRST},a waltz\n")
    assert read_clips(musiceval / "list.csv")[0].name == f"wav/{FIRST}"


@pytest.mark.parametrize("name", ["sets/train_mos_list.txt", "prompt_info.txt", "list.csv"])
def test_lists_of_another_encoding_are_named(musiceval: Path, name: str) -> None:
    (musiceval / "list.csv").write_text(f"path,prompt\nwav/{FIRST},a waltz\n")
    path, source = musiceval / name, musiceval / name if name.endswith(".csv") else musiceval
    text = path.read_text()
    path.write_text(text, encoding="utf-8-sig")
    assert FIRST in {Path(clip.name).name for clip in read_clips(source)}
    path.write_text(text, encoding="utf-16")
    with pytest.raises(InputError, match=rf"{path.name}: is not UTF-8 text.*; save it as UTF-8"):
        read_clips(source)
