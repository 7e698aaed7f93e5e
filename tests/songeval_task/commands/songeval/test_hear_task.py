import subprocess

import pytest


@pytest.mark.parametrize(("words", "name"), [([], "track2"), (["--track", "1"], "track1")])
def test_the_folder_is_named_on_stdout(command, prepared, tmp_path, words, name):
    outcome = command("songeval", "hear-task", prepared, "--out", tmp_path, *words)
    assert outcome.code == 0
    assert outcome.notes == ["12 songs written"]
    folder = tmp_path / f"songeval_{name}-1.0.0-full"
    assert outcome.out == f"{folder}\n"
    assert (folder / "test.json").is_file()


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on(command, prepared, small_disk):
    tasks = small_disk(600)
    words = ("songeval", "hear-task", prepared, "--out", tasks)
    outcome = command(*words)
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "cannot take more (No space left on device)" in outcome.errors[0]
    assert not list(tasks.rglob("*.partial"))
    assert not list(tasks.rglob("test.json"))
    subprocess.run(["mount", "-o", "remount,size=8m", str(tasks)], check=True)
    assert command(*words).code == 0
