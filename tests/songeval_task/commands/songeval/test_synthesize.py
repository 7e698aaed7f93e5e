import subprocess

import pytest

WORDS = ("songeval", "synthesize")


@pytest.mark.slow
def test_a_set_is_made_and_said_to_be_a_demo(command, tmp_path):
    words = (*WORDS, tmp_path / "set", "--songs", 2, "--seconds", "4", "--workers", 1)
    outcome = command(*words)
    assert (outcome.code, outcome.errors) == (0, [])
    assert outcome.notes[0] == "2 songs ready"
    assert "x real time" in outcome.notes[1]
    assert "a test and demo set" in outcome.notes[2]
    again = command(*words)
    assert (again.code, len(again.notes)) == (0, 2)
    assert command("songeval", "prepare", tmp_path / "set", "--out", tmp_path / "p").code == 2


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on(command, small_disk):
    disk = small_disk(100)
    words = (*WORDS, disk / "set", "--songs", 6, "--seconds", "4", "--workers", 1)
    outcome = command(*words)
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "cannot take more (No space left on device)" in outcome.errors[0]
    assert not list(disk.rglob("*.partial"))
    made = {path.name: path.read_bytes() for path in disk.rglob("*.mp3")}
    assert 0 < len(made) < 6
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    assert command(*words).code == 0
    assert made.items() <= {path.name: path.read_bytes() for path in disk.rglob("*.mp3")}.items()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seconds", "long"], "--seconds long: write two numbers"),
        (["--seconds", "90-60"], "songs of 90 to 60 s cannot be made"),
        (["--seconds", "2"], "take at least 4 s"),
        (["--songs", "0"], "ask for at least one"),
        (["--systems", "3"], "3 systems are too few"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(command, tmp_path, words, message):
    outcome = command(*WORDS, tmp_path / "set", *words)
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert message in outcome.errors[0]
    assert not (tmp_path / "set").exists()
