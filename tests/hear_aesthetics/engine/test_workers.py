import os
import signal

import pytest

from hear_aesthetics.engine.workers import in_processes
from hear_aesthetics.errors import HearAestheticsError, InputError

pytestmark = pytest.mark.slow  # a process takes a second to start


def double(number):
    if number < 0:
        raise InputError(f"{number}: below zero; take another")
    return os.getpid(), 2 * number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_item_comes_back_from_another_process():
    made = dict(in_processes(double, range(5), workers=2))
    assert {number: value for number, (_, value) in made.items()} == {i: 2 * i for i in range(5)}
    assert os.getpid() not in {pid for pid, _ in made.values()}


def test_an_error_comes_back_as_itself():
    with pytest.raises(InputError, match="-1: below zero"):
        list(in_processes(double, [-1, 1, 2], workers=1))


def test_a_killed_worker_is_one_line():
    with pytest.raises(HearAestheticsError, match="a worker process was killed") as caught:
        list(in_processes(die, range(3), workers=1))
    assert "\n" not in str(caught.value)
