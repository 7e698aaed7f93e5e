"""The grids and their order are heareval's."""

import pytest

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.probes.grid import GRIDS, grid_points
from hear_aesthetics.evaluation.tasks.task import load_task

# as heareval prints them: layers, initialisation, learning rate
DEFAULT = "1n1e-4 2u1e-3 1n1e-3 1n3.2e-4 2n3.2e-4 2u3.2e-4 2n3.2e-3 2u3.2e-3"
# layers x width, initialisation, learning rate, patience
FASTER = (
    "1x64u1e-4p3 1x64n3.2e-3p3 0x64u1e-4p3 1x64u1e-4p1 "
    "0x128n3.2e-4p3 0x128u3.2e-3p3 1x64u1e-3p3 1x128n1e-3p3"
)


def in_short(point, *, wide):
    width = f"x{point.hidden_dim}" if wide else ""
    initial = point.initialization.removeprefix("xavier_")[0]
    rate = f"{point.lr * 1e4:g}e-4" if point.lr < 1e-3 else f"{point.lr * 1e3:g}e-3"
    return f"{point.hidden_layers}{width}{initial}{rate}" + f"p{point.patience}" * wide


@pytest.mark.parametrize(("grid", "expected"), [("default", DEFAULT), ("faster", FASTER)])
def test_the_first_points_come_in_heareval_s_order(make_task, grid, expected):
    points = grid_points(load_task(make_task()), grid, 8)
    assert [in_short(p, wide=grid == "faster") for p in points] == expected.split()


@pytest.mark.parametrize(("grid", "size"), [("default", 16), ("fast", 64), ("faster", 64)])
def test_a_grid_has_every_combination_once(make_task, grid, size):
    points = grid_points(load_task(make_task()), grid, 1000)
    assert len(points) == len(set(points)) == size
    assert {p.max_epochs for p in points} == set(GRIDS[grid].get("max_epochs", (500,)))


def test_dcase_2016_is_validated_every_ten_epochs(make_task):
    points = grid_points(load_task(make_task(task_name="dcase2016_task2")), "default", 8)
    assert {p.check_val_every_n_epoch for p in points} == {10}


def test_a_task_may_change_the_grid(make_task):
    params = {"task_specific_param_grid": {"lr": [0.5], "hidden_dim": [3, 4]}}
    points = grid_points(load_task(make_task(evaluation_params=params)), "default", 99)
    assert {(p.lr, p.hidden_dim) for p in points} == {(0.5, 3), (0.5, 4)}
    assert len(points) == 8  # layers, initialisation and width


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"momentum": [1]}, r"unknown option 'momentum'; known: .*hidden_dim"),
        ({"optim": ["SGD"]}, r"unknown option 'optim'"),
        ({"max_epochs": [2]}, r"2 epochs end before the first validation, after 3"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(make_task, own, message):
    task = load_task(make_task(evaluation_params={"task_specific_param_grid": own}))
    with pytest.raises(TaskError, match=message):
        grid_points(task, "default", 8)


def test_wrong_options_list_the_right_ones(make_task):
    task = load_task(make_task())
    with pytest.raises(InputError, match="choose one of default, fast, faster"):
        grid_points(task, "slow", 8)
    with pytest.raises(InputError, match="0 grid points; ask for at least 1"):
        grid_points(task, "default", 0)
