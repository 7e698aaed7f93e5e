"""How long does the bundled pair take to load, and to embed a minute of audio?"""

import subprocess
import sys
from statistics import median

from benchmarks.common.harness import BenchmarkReport, main

SECONDS, RUNS = 60, 5
LOAD, EMBED = 0.5, 2.0  # targets, seconds
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
    """Time ``load_model`` and a scene embedding in fresh processes."""
    seconds = [_run() for _ in range(1 if quick else RUNS)]
    load, embed = (median(part) for part in zip(*seconds, strict=True))
    return BenchmarkReport(
        "The bundled pair in a fresh process",
        [
            {"what": "load_model, torch imported before", "seconds": load},
            {"what": f"scene embedding of {SECONDS} s, the first call", "seconds": embed},
        ],
        ratio=SECONDS / embed,
        max_difference=0.0,
        targets={
            f"load_model under {LOAD} s": load < LOAD,
            f"{SECONDS} s of audio under {EMBED:g} s": embed < EMBED,
        },
        notes=["ratio: seconds of audio per second; difference: not measured"],
    )


def _run() -> tuple[float, float]:
    line = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    load, embed = map(float, done.stdout.split())
    return load, embed


if __name__ == "__main__":
    raise SystemExit(main("mini", measure))
