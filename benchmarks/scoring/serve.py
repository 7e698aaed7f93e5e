"""Does the service lose throughput against the engine, and are all of its answers right?

Clients send clips of 3 to 30 s in WAV, FLAC and MP3 to ``hear-aesthetics serve --model mini``; the
engine scores the same list of files. Runs alternate, each in a process of its own.
"""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from benchmarks.common.harness import BenchmarkReport, main
from hear_aesthetics.audio.saving import write_audio
from songeval_task import AestheticScorer
from songeval_task.scoring.rows import row_columns, score_row

__all__ = ["Load", "form_of", "make_clips", "measure", "running_server", "score_of", "send"]

CLIENTS, REQUESTS, RUNS = 64, 20, 3
QUICK = 8, 6, 1
LENGTHS = range(3, 31, 3)  # seconds
FORMATS = (("wav", 24_000, 1), ("flac", 44_100, 2), ("mp3", 44_100, 2), ("wav", 44_100, 2))
TARGET = 0.8
MAX_DIFFERENCE = 1e-5
MAX_GROWTH = 50.0  # MB from the first quarter of the requests on
BOUNDARY = "clip"
SERVING = re.compile(r"serving at http://(.+):(\d+)")


def make_clips(folder: Path) -> list[Path]:
    """Write clips of all lengths and formats: tones and noise that differ from clip to clip."""
    rng, clips = np.random.default_rng(0), []
    for index, seconds in enumerate(LENGTHS):
        suffix, rate, channels = FORMATS[index % len(FORMATS)]
        time_axis = np.arange(seconds * rate)[:, None] / rate
        pitch = rng.uniform(80, 800, (4, 1, channels))
        tones = np.sin(2 * np.pi * pitch * time_axis * (1 + 0.2 * np.sin(time_axis))).mean(axis=0)
        noise = rng.standard_normal((len(time_axis), channels))
        path = folder / f"{seconds}.{suffix}"
        write_audio(path, (0.3 * tones + 0.01 * noise).astype(np.float32), rate)
        clips.append(path)
    return clips


@contextmanager
def running_server(*options: str) -> Iterator[tuple[str, int, psutil.Process]]:
    """Run a server; yield its host, port and process."""
    program = [sys.executable, "-m", "hear_aesthetics", "serve", "--no-page"]
    program += ["--model", "mini", "--port", "0"]
    process = subprocess.Popen([*program, *options], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if found := SERVING.search(line):
                yield found[1], int(found[2]), psutil.Process(process.pid)
                break
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def form_of(path: Path) -> bytes:
    """Return a multipart body that holds one file."""
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="{path.name}"'
    return f"{head}\r\n\r\n".encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def send(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
    """Send a form to be scored; return status and answer."""
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", "/v1/score", body, kind)
    answer = connection.getresponse()
    return answer.status, answer.read()


def score_of(answer: bytes) -> dict[str, Any]:
    """Return the one row of an answer."""
    (row,) = json.loads(answer)["rows"]
    return row


@dataclass
class Load:
    """Clients that send at the same time, each one request after the other.

    Attributes:
        bodies: Body of each request.
        answers: Status and answer of each, once it is there.
        megabytes: Memory of the server after each answer.
    """

    bodies: Sequence[bytes]
    answers: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    megabytes: list[float] = field(default_factory=list)

    def run(self, host: str, port: int, server: psutil.Process, clients: int) -> float:
        """Send all; return the seconds that it took."""
        todo = iter(range(len(self.bodies)))
        lock = threading.Lock()

        def work() -> None:
            connection = http.client.HTTPConnection(host, port, timeout=600)
            while True:
                with lock:
                    index = next(todo, None)
                if index is None:
                    break
                self.answers[index] = send(connection, self.bodies[index])
                if index % clients == 0:
                    self.megabytes.append(server.memory_info().rss / 1e6)
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(clients)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    @property
    def growth(self) -> float:
        """Megabytes by which the memory grew after the first quarter of the requests."""
        quarter = max(len(self.megabytes) // 4, 1)
        return max(self.megabytes[quarter:], default=0.0) - max(self.megabytes[:quarter])


def engine_seconds(clips: Sequence[str]) -> tuple[float, float]:
    """Return the seconds that a process of its own takes, by the clock and of CPU."""
    code = (
        "import sys, time; from songeval_task import AestheticScorer as S\n"
        "from songeval_task.scoring.rows import AudioSpan\n"
        "s = S.from_pretrained(model='mini')\n"
        "c = [AudioSpan(path) for path in sys.stdin.read().split()]\n"
        "list(s.score_files(c[:10]))\n"
        "t, u = time.perf_counter(), time.process_time()\n"
        "list(s.score_files(c))\n"
        "print(time.perf_counter() - t, time.process_time() - u)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(clips), text=True, capture_output=True
    )
    done.check_returncode()
    clock, cpu = map(float, done.stdout.split()[-2:])
    return clock, cpu


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children so far."""
    times = [p.cpu_times() for p in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def measure(quick: bool = False) -> BenchmarkReport:
    """Measure the service under load."""
    clients, requests, runs = QUICK if quick else (CLIENTS, REQUESTS, RUNS)
    with TemporaryDirectory() as folder:
        clips = make_clips(Path(folder))
        scorer = AestheticScorer.from_pretrained(model="mini")
        columns = row_columns(scorer.scorer_set)
        expected = [score_row(scorer.score(clip), columns) for clip in clips]
        order = np.random.default_rng(1).integers(len(clips), size=clients * requests)
        bodies = [form_of(clip) for clip in clips]
        rows, difference, lost, growth = [], 0.0, 0, 0.0
        for _ in range(runs):
            alone, cpu_alone = engine_seconds([str(clips[index]) for index in order])
            load = Load([bodies[index] for index in order])
            with running_server() as (host, port, process):
                Load(bodies).run(host, port, process, 1)
                before = cpu_seconds(process)
                seconds = load.run(host, port, process, clients)
                cpu = cpu_seconds(process) - before
            lost += sum(status != 200 for status, _ in load.answers.values())
            lost += len(order) - len(load.answers)
            for index, (_, answer) in load.answers.items():
                row, right = score_of(answer), expected[order[index]]
                changes = [abs(row[name] - right[name]) for name in scorer.scorer_set.all_columns]
                difference = max(difference, *changes)
            growth = max(growth, load.growth)
            audio = sum(LENGTHS[index] for index in order)
            rows.append(
                {
                    "engine s": alone,
                    "service s": seconds,
                    "ratio": alone / seconds,
                    "engine CPU s": cpu_alone,
                    "service CPU s": cpu,
                    "audio s per s": audio / seconds,
                    "memory MB": max(load.megabytes),
                }
            )
    ratio = float(np.median([row["ratio"] for row in rows]))
    return BenchmarkReport(
        f"Service: {clients} clients with {requests} requests each, clips of 3 to 30 s",
        rows,
        ratio,
        difference,
        targets={
            f"throughput at least {TARGET} of the engine's": ratio >= TARGET,
            "no answer lost": lost == 0,
            f"scores within {MAX_DIFFERENCE:g}": difference <= MAX_DIFFERENCE,
            f"memory grows by less than {MAX_GROWTH:g} MB": growth < MAX_GROWTH,
        },
        notes=("ratio: seconds of the engine / seconds of the service, the median of the runs",),
    )


if __name__ == "__main__":
    raise SystemExit(main("scoring.serve", measure))
