"""A command says why it ends when the head of its cluster is lost: Ray's core ends it silently."""

import socket
import threading

import pytest

from hear_aesthetics.distributed import cluster


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    monkeypatch.setattr(cluster, "WATCH_SECONDS", 0.01)
    return socket.create_server(("127.0.0.1", 0))


def _watch(head: socket.socket, over: threading.Event) -> threading.Thread:
    address = f"127.0.0.1:{head.getsockname()[1]}"
    thread = threading.Thread(target=cluster._watch, args=(address, over))
    thread.start()
    return thread


def test_a_lost_head_is_told_once(head, caplog) -> None:
    thread = _watch(head, threading.Event())
    thread.join(0.2)
    assert thread.is_alive()
    assert not caplog.text
    head.close()
    thread.join(10)
    assert not thread.is_alive()
    assert caplog.text.count("does not answer") == 1


def test_a_cluster_that_was_left_is_not_watched(head, caplog) -> None:
    over = threading.Event()
    thread = _watch(head, over)
    over.set()
    thread.join(10)
    head.close()
    assert not thread.is_alive()
    assert not caplog.text
