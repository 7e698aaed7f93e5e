"""--loudness: a level that music can have, said before anything is loaded."""

import pytest

from hear_aesthetics.cli import main


@pytest.mark.parametrize("command", [["score", "a.wav"], ["compare", "a.wav", "b.wav"]])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e9", "0.1", "-70.1"])
def test_other_levels_are_wrong_usage(command, value, capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*command, f"--loudness={value}", "--model", "mini"])
    assert exit_.value.code == 2
    assert "LUFS is not from -70 to 0" in " ".join(capsys.readouterr().err.split())
