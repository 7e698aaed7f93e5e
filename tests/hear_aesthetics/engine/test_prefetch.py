import threading
import time

import pytest

from hear_aesthetics.engine.prefetch import Prefetcher


def test_items_come_in_order_each_with_its_waveform_or_its_error():
    def load(number):
        time.sleep(0.01 * (number % 3))
        if number == 4:
            raise KeyError("surprise")
        return [number] * number

    with Prefetcher(range(9), load, ahead_samples=100, workers=3) as ahead:
        loaded = list(ahead)
    assert [entry.item for entry in loaded] == list(range(9))
    assert [entry.samples for entry in loaded] == [0, 1, 2, 3, 0, 5, 6, 7, 8]
    assert isinstance(loaded[4].error, KeyError)


def test_the_end_stays_the_end():
    with Prefetcher([1], lambda _: [0], ahead_samples=1) as ahead:
        assert next(ahead).item == 1
        assert next(ahead, None) is None
        assert next(ahead, None) is None


def test_what_iterating_over_the_items_raises_comes_after_those_before_it():
    def items():
        yield 1
        raise ValueError("a broken list")

    with Prefetcher(items(), lambda _: [0], ahead_samples=9) as ahead:
        assert next(ahead).item == 1
        with pytest.raises(ValueError, match="a broken list"):
            next(ahead)


def test_no_file_is_begun_while_enough_is_loaded():
    begun = []
    enough = threading.Event()

    def load(number):
        begun.append(number)
        if len(begun) == 3:
            enough.set()
        return [0] * 10

    with Prefetcher(range(9), load, ahead_samples=30) as ahead:
        assert enough.wait(5)
        time.sleep(0.05)
        assert begun == [0, 1, 2]
        assert len(list(ahead)) == 9


def test_values_raise_what_went_wrong_with_an_item():
    with Prefetcher([1, 0], lambda n: [1 / n], ahead_samples=9) as ahead:
        values = ahead.values()
        assert next(values) == [1.0]
        with pytest.raises(ZeroDivisionError):
            next(values)
