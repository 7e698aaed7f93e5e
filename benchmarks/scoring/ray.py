"""What does a cluster of Ray cost, and does every song get its row whatever is killed?

600 clips of 10 s are scored in one process and, with ``--ray``, on this machine. Then three nodes
of one core each are started here, and shorter clips are scored on them while a node, an encoder
or the command itself is killed in the middle, and while a file never ends.
"""

import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from benchmarks.common.harness import BenchmarkReport, main
from hear_aesthetics.distributed.cluster import Cluster, joined
from hear_aesthetics.distributed.loading import load_measured
from hear_aesthetics.distributed.pipeline import run_on_ray
from hear_aesthetics.engine.inputs import Input
from songeval_task.distributed import RayScorer, ScorerRecipe, ScoreWork
from songeval_task.scoring.rows import AudioSpan
from songeval_task.scoring.scorer import AestheticScorer

CLIPS, QUICK_CLIPS = 600, 24
SECONDS = 10.0
# The shortest that round alike in every batch: products of few rows take other kernels.
SHORT_SECONDS = 5.0
RATE = 24_000
FEWER = 4  # the short list is so much shorter
SHARE = 0.9  # of the throughput of one process, at least
TOLERANCE = 1e-6
NODES = 3
OBJECT_STORE = 200_000_000  # bytes of each node; a container may have little /dev/shm
FILE_SECONDS = 20.0
LIMIT_SECONDS = 900.0
SCORE = [sys.executable, "-m", "hear_aesthetics", "score", "--model", "mini"]


@dataclass(frozen=True)
class HangingWork(ScoreWork):
    """Scores of songs, one of which never ends."""

    @property
    def load(self) -> partial[Any]:
        """What loads a song, or never ends."""
        return partial(_load_or_hang, **self.measure)


def _load_or_hang(item: Any, **options: Any) -> Any:
    if "hang" in Path(item.path).name:
        time.sleep(LIMIT_SECONDS)
    return load_measured(item, **options)


def measure(quick: bool) -> BenchmarkReport:
    """Score clips in one process and on Ray, then kill what can be killed."""
    count = QUICK_CLIPS if quick else CLIPS
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        rows, ratio, distance = _throughput(_clips(root / "long", count, SECONDS))
        short = _clips(root / "short", count, SHORT_SECONDS)
        score_on_one_thread(short, root / "plain.csv")
        plain = _read(root / "plain.csv")
        with three_nodes() as (address, nodes):
            kills: dict[str, Callable[[subprocess.Popen[bytes]], object]] = {
                "nothing is killed": lambda _: None,
                "an encoder is killed": lambda _: kill_encoder(),
                "a node is killed": lambda _: nodes.remove_node(
                    next(iter(nodes.worker_nodes)), allow_graceful=False
                ),
                "the command is killed": lambda process: process.kill(),
            }
            for what, kill in kills.items():
                out = root / f"{what}.csv"
                seconds = score_and_kill(short, out, address, kill, count // 3)
                rows.append(_row(what, plain, _read(out), seconds))
            rows.append(_row("a file hangs", *_hang(address, short)))
    complete = all(row["missing"] == row["twice"] == 0 for row in rows[2:])
    distance = max([distance, *(float(str(row["difference"])) for row in rows[2:])])
    return BenchmarkReport(
        "Scoring on a cluster of Ray",
        rows,
        ratio=ratio,
        max_difference=distance,
        targets={
            f"--ray on this machine: at least {SHARE} of one process": ratio >= SHARE,
            "every row once": complete,
            f"scores equal to {TOLERANCE:g}": distance <= TOLERANCE,
        },
        notes=[
            "ratio: clips per second without the start, --ray over one process; the start of Ray "
            "itself is not in it; difference: of scores, absolute",
            f"three nodes of one core each on this machine, {count} clips of {SHORT_SECONDS:g} s; "
            "the command and its start-up included",
        ],
    )


def _clips(folder: Path, count: int, seconds: float) -> Path:
    """Write clips of tones and noise, each another one."""
    folder.mkdir()
    times = np.arange(round(seconds * RATE)) / RATE
    for index in range(count):
        rng = np.random.default_rng(index)
        tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in rng.uniform(100, 2000, 2))
        noise = rng.uniform(0.005, 0.1) * rng.standard_normal(times.size)
        soundfile.write(folder / f"{index:04}.wav", (0.1 * tones + noise).astype("f4"), RATE)
    return folder


def _throughput(folder: Path) -> tuple[list[dict[str, object]], float, float]:
    """Return rows of the table, the ratio of the speeds, and the largest difference.

    A speed is that of the clips by which two lists differ, so that what a start costs cancels.
    Rows must not be timed as they come: when the first is here, later blocks are computed already.
    """
    clips = [AudioSpan(path) for path in sorted(folder.iterdir())]
    few = clips[: len(clips) // FEWER]
    seconds: dict[str, list[float]] = {"one process": [], "--ray": []}
    made: dict[str, np.ndarray] = {}
    with joined("local") as cluster:
        scorers = {
            "one process": AestheticScorer.from_pretrained(model="mini"),
            "--ray": RayScorer.on(cluster, ScorerRecipe(model="mini")),
        }
        for part in (few, clips):
            for name, scorer in scorers.items():
                begin = time.perf_counter()
                results = list(scorer.score_files(part))
                seconds[name].append(time.perf_counter() - begin)
                made[name] = np.array([list(r.output.values.values()) for r in results])
    speeds = {n: (len(clips) - len(few)) / (long - short) for n, (short, long) in seconds.items()}
    rows: list[dict[str, object]] = [
        {
            "what": f"{len(clips)} clips of {SECONDS:g} s, {name}",
            "clips/s": speed,
            "start, s": seconds[name][1] - len(clips) / speed,
            "in all, s": seconds[name][1],
            **dict.fromkeys(("missing", "twice", "difference"), "-"),
        }
        for name, speed in speeds.items()
    ]
    distance = float(np.abs(made["--ray"] - made["one process"]).max())
    return rows, speeds["--ray"] / speeds["one process"], distance


@contextmanager
def three_nodes() -> Iterator[tuple[str, Any]]:
    """Start a cluster of three nodes of one core each on this machine; its address and itself."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # all nodes are on the loopback address
    from ray.cluster_utils import Cluster as Nodes

    size = {"num_cpus": 1, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    nodes = Nodes(initialize_head=True, head_node_args=size)
    try:
        for _ in range(NODES - 1):
            nodes.add_node(num_cpus=1, object_store_memory=OBJECT_STORE)
        nodes.wait_for_nodes()
        yield nodes.address, nodes
    finally:
        nodes.shutdown()


def score_on_one_thread(folder: Path, out: Path) -> None:
    """Score a folder as a node of one core would: other numbers of threads round otherwise."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*SCORE, folder, "--out", out], env=environment, check=True)


def score_and_kill(
    folder: Path,
    out: Path,
    address: str,
    kill: Callable[["subprocess.Popen[bytes]"], object],
    rows: int,
) -> float:
    """Score a folder on a cluster, kill something after so many rows; return seconds.

    A command that was killed is started again.
    """
    begin = time.perf_counter()
    command = [*SCORE, folder, "--ray", address, "--out", out]
    process = subprocess.Popen(command)
    try:
        journal = out.with_name(f"{out.name}.partial.jsonl")
        while process.poll() is None and _lines(journal) < rows:
            if time.perf_counter() - begin > LIMIT_SECONDS:
                raise TimeoutError("no rows came")
            time.sleep(0.05)
        kill(process)
        if process.wait(LIMIT_SECONDS) == -signal.SIGKILL:
            subprocess.run(command, check=True, timeout=LIMIT_SECONDS)
    finally:
        process.kill()
    return time.perf_counter() - begin


def kill_encoder() -> None:
    """Kill an encoder of the cluster that this process started, and of no other.

    Raylets are children of the process that starts a cluster, and actors are children of raylets.
    Other clusters on the machine have actors of the same name.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_encoder = (folder / "cmdline").read_bytes().startswith(b"ray::MapWorker")
            ours = is_encoder and _parent(_parent(int(folder.name))) == os.getpid()
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        if ours:
            os.kill(int(folder.name), signal.SIGKILL)
            return
    raise RuntimeError("this process has started no cluster that has an encoder now")


def _parent(process: int) -> int:
    """Return the id of the parent of a process."""
    stat = Path(f"/proc/{process}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:  # not begun, or done and renamed
        return 0


def _hang(address: str, folder: Path) -> tuple[Any, Any, float]:
    """Score clips, one of which never ends; return the plain scores, the others, and seconds."""
    clips = [AudioSpan(path) for path in sorted(folder.iterdir())]
    hangs = len(clips) // 2
    stuck = folder / "hang.wav"
    with joined(address) as cluster:
        scorer = RayScorer.on(cluster, ScorerRecipe(model="mini"))
        begin = time.perf_counter()
        made = _run_hanging(cluster, scorer, [*clips[:hangs], AudioSpan(stuck), *clips[hangs:]])
        seconds = time.perf_counter() - begin
    torch.set_num_threads(1)  # as a node
    plain = AestheticScorer.from_pretrained(model="mini").score_files(clips)
    wanted = {str(result.item.path): [dict(result.output.values)] for result in plain}
    wanted[str(stuck)] = [{}]
    return wanted, made, seconds


def _run_hanging(cluster: Cluster, scorer: RayScorer, clips: list[AudioSpan]) -> Any:
    from benchmarks.scoring.ray import HangingWork as Work  # of a module that nodes can import

    sent = [Input(Path(clip.path), "") for clip in clips]

    options = {**scorer.measure_options, "target": None}
    windows = {"timeline": False, "explain": False}
    work = Work(scorer.recipe, scorer.fingerprint(), options, windows)
    made: dict[str, list[dict[str, float]]] = {}
    for _, result in run_on_ray(cluster, sent, work, file_seconds=FILE_SECONDS):
        values = {} if result.error else dict(result.output.values)
        made.setdefault(str(result.item.path), []).append(values)
    return made


def _read(path: Path) -> dict[str, list[dict[str, float]]]:
    """Return the scores of a file by the song, each row that it has."""
    found: dict[str, list[dict[str, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            scores = list(row)[4 : list(row).index("loudness_lufs")]
            values = {name: float(row[name]) for name in scores if row[name]}
            found.setdefault(row["path"], []).append(values)
    return found


def _row(what: str, plain: Any, made: Any, seconds: float) -> dict[str, object]:
    """Return the row of the table for one fault."""
    gaps = [
        abs(value - made[path][0][name])
        for path in plain.keys() & made.keys()
        for name, value in plain[path][0].items()
        if name in made[path][0]
    ]
    whole = [path for path, (row, *_) in plain.items() if len(made.get(path, [{}])[0]) == len(row)]
    # Scores of both files are rounded to TOLERANCE: a difference of one digit is exactly that.
    return {
        "what": f"three nodes, {what}",
        **dict.fromkeys(("clips/s", "start, s"), "-"),
        "in all, s": seconds,
        "missing": len(plain) - len([path for path in whole if path in made]),
        "twice": sum(len(rows) - 1 for rows in made.values()),
        "difference": round(max(gaps, default=0.0), 9),
    }


if __name__ == "__main__":
    raise SystemExit(main("scoring.ray", measure))
