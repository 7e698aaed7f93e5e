"""``serve`` and ``score --server``: wrong usage in one line, and the rows of ``score``."""

import json
import re
import shlex
import socket
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from songeval_task import AestheticScorer
from songeval_task.scoring.plots import scores_figure
from songeval_task.service import connection
from songeval_task.service.app import create_app
from songeval_task.service.decoding.pool import DecoderPool
from songeval_task.service.job_queue import JobQueue
from songeval_task.service.settings import ServiceSettings

ROOT = Path(__file__).parents[3]
URL = "http://127.0.0.1:7860"


@contextmanager
def found_at_any_address(scorer: AestheticScorer, monkeypatch) -> Iterator[None]:
    """An application that all clients find."""
    with DecoderPool(1) as decoder, JobQueue(scorer, decoder) as jobs:
        app = create_app(jobs, ServiceSettings())
        opened = lambda *_: TestClient(app, base_url=URL)  # noqa: E731
        monkeypatch.setattr(connection, "open_client", opened)
        yield


@pytest.fixture
def server(demo_scorer, monkeypatch):
    """A server with the bundled model."""
    with found_at_any_address(demo_scorer, monkeypatch):
        yield


def test_others_reach_it_with_a_token_only(command) -> None:
    outcome = command("serve", "--model", "mini", "--host", "0.0.0.0", "--no-page")
    assert outcome.code == 2
    assert outcome.errors == [
        "error: --host 0.0.0.0 is reached from other machines; give a --token, or listen on "
        "127.0.0.1"
    ]


def test_a_port_that_is_taken_is_one_line(command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = command("serve", "--model", "mini", "--port", port, "--no-page")
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert "take another port" in outcome.errors[0]


def test_a_model_that_is_none_ends_it_in_one_line(command) -> None:
    outcome = command("serve", "--model", "nothing", "--port", "0")
    assert outcome.code in (1, 2)
    assert len(outcome.errors) == 1


@pytest.mark.slow
def test_a_server_gives_the_rows_of_score(
    server, command, write_clip, write_broken, tmp_path
) -> None:
    write_clip(tmp_path / "songs" / "a.wav", 3.0)
    write_clip(tmp_path / "songs" / "b.wav", 4.0, seed=1)
    write_broken(tmp_path / "songs")
    words = ("score", tmp_path / "songs", "--json", "--timeline", "--loudness", "-20")
    here = command(*words, "--model", "mini")
    there = command(*words, "--server", URL)
    assert there.code == here.code == 3
    assert sorted(there.errors) == sorted(here.errors)
    for found, right in zip(json.loads(there.out), json.loads(here.out), strict=True):
        windows = found.pop("timeline", []), right.pop("timeline", [])
        assert len(windows[0]) == len(windows[1])
        assert found == {
            name: pytest.approx(value, abs=1e-4) if type(value) is float else value
            for name, value in right.items()
        }


def test_members_of_a_container_are_sent(server, command, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", 1.0)
    with tarfile.open(tmp_path / "songs.tar", "w") as tar:
        tar.add(path, "b/a.wav")
    (file,) = json.loads(command("score", path, "--server", URL, "--json").out)
    outcome = command("score", tmp_path / "songs.tar", "--server", URL, "--json")
    assert outcome.code == 0
    (row,) = json.loads(outcome.out)
    assert row["path"].endswith("songs.tar/b/a.wav")
    assert row["mean"] == pytest.approx(file["mean"], abs=1e-5)


def test_a_calibration_that_is_elsewhere_is_said_and_its_intervals_are_drawn(
    calibrate_demo, command, write_clip, tmp_path, monkeypatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        scores_figure, "score_figure", lambda *_, subtitle, **__: drawn.append(subtitle)
    )
    monkeypatch.setattr("hear_aesthetics.plotting.style.save", lambda *_: None)
    for seed in range(2):
        write_clip(tmp_path / "takes" / f"{seed}.wav", 1.0, seed=seed)
    scorer = AestheticScorer.from_pretrained(model="mini")
    scorer.calibrate([calibrate_demo(tmp_path / "c.json", 0.1)])
    words = ("score", tmp_path / "takes", "--best-of", "folder", "--plot", tmp_path / "o.png")
    with found_at_any_address(scorer, monkeypatch):
        outcome = command(*words, "--server", URL)
    assert outcome.code == 0
    (line,) = [line for line in outcome.notes if line.startswith("best of: ")]
    assert line.endswith("is told where the calibration is: leave out --server")
    assert "bands: 90% intervals" in drawn[0]


def test_a_server_fills_a_file_once(server, command, write_clip, tmp_path) -> None:
    write_clip(tmp_path / "a.wav", 1.0)
    words = ("score", tmp_path / "a.wav", "--server", URL, "--out", tmp_path / "o.csv")
    assert command(*words).code == 0
    again = command(*words)
    assert again.code == 0
    assert "1 of 1 rows are there already" in again.notes


def test_a_server_has_its_own_model(server, command, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", 1.0)
    for option in ("--head", "demo"), ("--model", "mini"), ("--device", "cpu"):
        outcome = command("score", path, "--server", URL, *option)
        assert outcome.code == 2
        assert outcome.errors == [f"error: --server scores by its own model; leave out {option[0]}"]
    outcome = command("score", path, "--server", URL, "--calibration", "c.json")
    assert outcome.code == 2
    assert "start it with --calibration" in outcome.errors[0]


def test_the_image_is_made_of_what_is_here() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    copied = [
        w for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for w in line.split()
    ]
    assert "songeval_task" in copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    allowed = (ROOT / "deploy/Dockerfile.dockerignore").read_text().split()
    assert [n for n in copied if f"!{n.split('/')[0]}" not in allowed] == []
    torch = re.search(r"^TORCH +:= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert torch in text
    user, entry = text.index("USER music"), text.index("ENTRYPOINT")
    assert user < entry
    assert "HEALTHCHECK" in text
    assert (
        shlex.split("hear-aesthetics serve")
        == json.loads(re.search(r"ENTRYPOINT (.+)", text)[1])[:2]
    )
