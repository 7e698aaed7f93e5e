"""What the benchmark on composed songs reads, and that each of its targets can be missed."""

import pytest

from benchmarks.songeval import BASELINE, CONTROL, read_lines, targets, with_mean_control

HEADING = "LCC Coherence Musicality Memorability Clarity Naturalness mean"


def _table(head: str = "0.8 0.7 0.7 0.9 0.8 0.78", control: str = "0 0.1 0 0 0.1 0.04"):
    text = f"{HEADING}\nridge 0.1 0.0 0.2 0.1 0.1 0.1\nruns/a {head}\nruns/b {control}\n"
    return read_lines(text, {"ridge": BASELINE, "runs/a": "seed 0", "runs/b": CONTROL})


def test_lines_of_the_script_become_named_rows() -> None:
    baseline, head, _ = _table()
    assert list(head) == HEADING.split()
    assert head["LCC"] == "seed 0"
    assert head["mean"] == 0.78
    assert baseline["Memorability"] == 0.2


def test_controls_become_one_row_of_means() -> None:
    rows = [*_table(control="1 1 1 1 1 1"), *_table(control="0 0 -1 0 0.5 0")[2:]]
    *others, control = with_mean_control(rows)
    assert others == rows[:2]
    assert list(control.values()) == [CONTROL, 0.5, 0.5, 0.0, 0.5, 0.75, 0.5]


def test_a_head_that_learns_reaches_every_target() -> None:
    assert all(targets(_table()).values())


@pytest.mark.parametrize(
    ("arguments", "missed"),
    [
        ({"head": "0.6 0.6 0.6 0.6 0.6 0.6"}, "mean LCC of every seed"),
        ({"head": "0.9 0.9 0.29 0.9 0.9 0.78"}, "every dimension at least"),
        ({"head": "0.9 0.9 0.1 0.9 0.9 0.74"}, "above the descriptors"),
        ({"control": "0.3 0.3 0.3 0.3 0.3 0.3"}, "shuffled labels"),
        ({"control": "-0.3 -0.3 -0.3 -0.3 -0.3 -0.3"}, "shuffled labels"),
    ],
)
def test_each_target_can_be_missed(arguments: dict[str, str], missed: str) -> None:
    reached = targets(_table(**arguments))
    assert not next(met for name, met in reached.items() if missed in name)
