"""What does the bundled pair cost: to load, to embed a minute, to embed many clips?

The plain loop takes one file after the other: decode, mix, resample, ``get_scene_embeddings``, with
all threads of PyTorch; the engine behind ``embed`` takes the same files in turn with it. Both keep
their embeddings on disk.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import soxr
import torch

from benchmarks.common.harness import BenchmarkReport, difference, main
from benchmarks.common.stages import Stages, product_peak
from benchmarks.throughput import write_files
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.engine.embedding_files import embed, origin, read_embedding, save
from hear_aesthetics.engine.inference import CPU_BATCH_SECONDS
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.model import HearModel, get_scene_embeddings, load_model
from hear_aesthetics.spec import API_SAMPLE_RATE

SECONDS, RUNS = 60, 5
CLIPS, CLIP_SECONDS, ROUNDS = 200, 10.0, 10  # each clip once a round: 2,000 in all
# Targets: seconds to load and to embed, of processor time to start, times faster than the loop.
LOAD, EMBED, START, FASTER, CLOSE = 0.5, 2.0, 1.5, 2.0, 1e-5
SCRIPT = f"""
import time, torch
start = time.perf_counter()
import hear_aesthetics
model = hear_aesthetics.load_model()
loaded = time.perf_counter()
audio = torch.rand(1, {SECONDS} * 48_000) * 2 - 1
made = time.perf_counter()
hear_aesthetics.get_scene_embeddings(audio, model)
print(loaded - start, time.perf_counter() - made)
"""


def measure(quick: bool) -> BenchmarkReport:
    """Time fresh processes, and many clips of 10 s against a plain loop."""
    runs = 1 if quick else RUNS
    seconds = [_run() for _ in range(runs)]
    load, first = (median(part) for part in zip(*seconds, strict=True))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start, start_cpu = _start(folder, runs)
        _, torch_cpu = _process(["-c", "import torch"], runs)
        files = write_files(folder, [CLIP_SECONDS] * (10 if quick else CLIPS))
        plain, plain_cpu, ours, ours_cpu, apart = _bulk(files, folder, 2 if quick else ROUNDS)
        shares = _shares(files)
    clips = f"a clip of {CLIP_SECONDS:g} s of {'20' if quick else '2,000'}"
    rows = [
        ("load_model, torch imported before", load, ""),
        (f"scene embedding of {SECONDS} s, the first call", first, ""),
        ("`embed` of a clip of 1 s, start to end", start, start_cpu),
        (f"{clips}, plain loop", plain, plain_cpu),
        (f"{clips}, engine", ours, ours_cpu),
    ]
    return BenchmarkReport(
        "The bundled pair: in a fresh process, and of many clips",
        [{"what": what, "seconds": wall, "of all cores": cpu} for what, wall, cpu in rows],
        ratio=plain / ours,
        max_difference=apart,
        targets={
            f"load_model under {LOAD} s": load < LOAD,
            f"{SECONDS} s of audio under {EMBED:g} s": first < EMBED,
            f"`embed` starts and ends under {START} s of processor time": start_cpu < START,
            f"the engine at least {FASTER:g} times faster than the loop": plain / ours >= FASTER,
            f"embeddings within {CLOSE:.0e} of the loop's": apart <= CLOSE,
        },
        notes=[
            "ratio and difference: engine against plain loop",
            f"{1 / ours:.1f} files per second, the loop {1 / plain:.1f}; `import torch` alone "
            f"takes {torch_cpu:.2f} s of processor time",
            shares,
        ],
    )


def _run() -> tuple[float, float]:
    line = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    load, first = map(float, done.stdout.split())
    return load, first


def _start(folder: Path, runs: int) -> tuple[float, float]:
    """Return seconds, and those of all cores, that ``embed`` takes for a clip of 1 s."""
    clip = folder / "one.wav"
    soundfile.write(clip, np.full(API_SAMPLE_RATE, 0.1), API_SAMPLE_RATE)
    line = ["-m", "hear_aesthetics", "embed", str(clip), "--out", str(folder / "one")]
    return _process([*line, "--overwrite"], runs)


def _process(arguments: list[str], runs: int) -> tuple[float, float]:
    """Return median seconds of a Python process, and those of all cores."""
    walls, processors = [], []
    for _ in range(runs):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        walls.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(walls), median(processors)


def _bulk(files: Sequence[Path], folder: Path, rounds: int) -> tuple[float, ...]:
    """Return seconds per clip and those of all cores, of loop and engine; largest difference."""
    model = load_model(device="cpu")
    contenders = _plain, _engine
    walls: list[list[float]] = [[], []]
    processors: list[list[float]] = [[], []]
    for contender in contenders:
        contender(files[:4], model)  # loads the code, makes the kernels
    for _ in range(rounds):
        for contender, wall, processor in zip(contenders, walls, processors, strict=True):
            started, used = time.perf_counter(), time.process_time()
            contender(files, model)
            wall.append((time.perf_counter() - started) / len(files))
            processor.append((time.process_time() - used) / len(files))
    apart = max(
        difference(
            torch.from_numpy(read_embedding(file.with_suffix(".npz")).embedding),
            torch.from_numpy(np.load(file.with_suffix(".npy"))),
        )
        for file in files
    )
    return *(median(times) for pair in zip(walls, processors, strict=True) for times in pair), apart


def _shares(files: Sequence[Path]) -> str:
    """Say where one thread of the engine spends its time, batch after batch."""
    model = load_model(device="cpu")
    (encoder, *_) = model.fused.encoders.values()
    stages, loading = Stages(encoder.config), 0.0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    batch = int(CPU_BATCH_SECONDS / CLIP_SECONDS)
    for start in range(0, len(files), batch):
        started = time.perf_counter()
        audio = np.stack([load_audio(file, API_SAMPLE_RATE) for file in files[start:][:batch]])
        loading += time.perf_counter() - started
        with stages.watch(model.fused):
            get_scene_embeddings(torch.from_numpy(audio), model)
    peak = product_peak(torch.float32, "cpu")
    torch.set_num_threads(threads)
    loaded = loading / (loading + stages.seconds["all"])
    return (
        f"one thread, batches of {batch}: {loaded:.0%} of the time is loading; of the rest "
        + stages.summary(peak)
    )


def _plain(files: Sequence[Path], model: HearModel) -> None:
    for file in files:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        mono = soxr.resample(samples.mean(axis=1), rate, API_SAMPLE_RATE, quality="HQ")
        embedding = get_scene_embeddings(torch.from_numpy(mono)[None], model)
        np.save(file.with_suffix(".npy"), embedding[0].numpy())


def _engine(files: Sequence[Path], model: HearModel) -> None:
    made = origin(model, "scene")
    for result in embed([Input(file, file.name) for file in files], model):
        save(result.item.path.with_suffix(".npz"), result, made)


if __name__ == "__main__":
    raise SystemExit(main("mini", measure))
