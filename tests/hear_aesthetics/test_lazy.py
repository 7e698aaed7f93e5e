import gc
import sys

from hear_aesthetics.lazy import uncollected


def test_the_collector_rests_while_torch_is_imported_and_leaves_it_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    try:
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_where_torch_is_there_already_the_collector_goes_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    with uncollected():
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0
