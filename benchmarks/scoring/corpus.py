"""What do a million rows cost before the first song is decoded, and what does a song cost then?

A Parquet manifest of a million paths, whose files are not there, is planned in fresh processes: as
a new run, and as one of which 99 % is done, alone and as one of 16 shards. The rows of the run are
written by the writer of ``score``, with made-up scores. Then a song of three minutes is decoded and
measured in several formats, on one thread.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common.harness import BenchmarkReport, main

ROWS, QUICK_ROWS = 1_000_000, 20_000
DONE = 0.99
SHARDS = 16
MOST_GB = 1.5
SONG_SECONDS, RATE = 180, 44_100

MANIFEST = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
path, rows = sys.argv[1], int(sys.argv[2])
pq.write_table(pa.table({
    "path": [f"{i % 1000:03}/song-{i:07}.flac" for i in range(rows)],
    "prompt": [f"a song of kind {i % 97}" for i in range(rows)],
    "system": [f"system {i % 7}" for i in range(rows)],
}), path)
"""

# Arguments: manifest, folder of the shards, shard, rows to write. Prints times and peak memory.
PLAN = """
import json, resource, sys, time
from pathlib import Path
from hear_aesthetics.corpus.keys import Shard
from hear_aesthetics.engine.inputs import collect_inputs, keys_of
from songeval_task.scoring.run import ScoreOptions, check_features
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.scoring.outputs.sharded import open_shard

manifest, out, shard, count = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
scorer, options = AestheticScorer.from_pretrained(model="mini"), ScoreOptions()
begin, busy = time.perf_counter(), time.process_time()
found = collect_inputs([manifest], features=True, unique=True)
check_features(scorer, found, options)
with open_shard(out, Shard.parse(shard), scorer, found, options) as writer:
    plan = writer.plan(keys_of(found.inputs), found.inputs)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    for position, stamp in list(zip(plan.positions.tolist(), plan.stamps))[:count]:
        item = found.inputs[position]
        row = {"key": item.key, "path": str(item.path), "duration": 180.0, "mean": 3.2,
               "model": "mini", "head": "demo", "demo": True, "status": "ok", "prompt": item.prompt}
        writer.add(position, stamp, row)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"s": seconds, "processor s": busy, "peak GB": peak / 1e6, "kept": plan.kept,
                  "to do": len(plan.positions)}))
"""

DECODE = """
import json, sys, time
import numpy as np, soundfile
from hear_aesthetics.audio import load_audio
from hear_aesthetics.audio.faults import FaultMeter
from hear_aesthetics.audio.loudness import LoudnessMeter

path, seconds, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
noise = np.random.default_rng(0).normal(0, 0.05, (seconds * rate, 2)).astype(np.float32)
with soundfile.SoundFile(path, "w", rate, 2) as file:
    for begin in range(0, len(noise), 8192):
        file.write(noise[begin : begin + 8192])
loudness, faults = LoudnessMeter(), FaultMeter()

def measure(block, sample_rate):
    loudness.push(block, sample_rate)
    faults.push(block, sample_rate)

times = []
for on_block in (None, measure):
    begin, busy = time.perf_counter(), time.process_time()
    load_audio(path, on_block=on_block)
    times.append((time.perf_counter() - begin, time.process_time() - busy))
print(json.dumps(times))
"""


def measure(quick: bool) -> BenchmarkReport:
    """Plan a manifest three times and decode songs, each in a fresh process."""
    rows = QUICK_ROWS if quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        manifest, out = root / "songs.parquet", root / "out"
        _run(MANIFEST, manifest, rows)
        plans = {
            "new": _plan(manifest, out, "1/1", round(DONE * rows)),
            "99 % done": _plan(manifest, out, "1/1", 0),
            f"shard 1/{SHARDS}, new": _plan(manifest, root / "shards", f"1/{SHARDS}", 0),
        }
        table = [{"what": f"{rows} rows, {name}", **made} for name, made in plans.items()]
        seconds = SONG_SECONDS // 10 if quick else SONG_SECONDS
        for suffix in ("wav", "flac", "mp3"):
            times = json.loads(_run(DECODE, root / f"song.{suffix}", seconds, RATE))
            for step, (wall, busy) in zip(("decoded", "and measured"), times, strict=True):
                what = f"{seconds} s of stereo at 44.1 kHz, {suffix}, {step}"
                rest = dict.fromkeys(("peak GB", "kept", "to do"), "-")
                table.append({"what": what, "s": wall, "processor s": busy, **rest})
    resumed = plans["99 % done"]
    peak = max(made["peak GB"] for made in plans.values())
    return BenchmarkReport(
        "Planning a corpus, and decoding its songs",
        table,
        ratio=rows / resumed["processor s"],
        max_difference=0.0,
        targets={
            f"at most {MOST_GB} GB": peak <= MOST_GB,
            "99 % are kept": resumed["kept"] == round(DONE * rows),
        },
        notes=["ratio: rows planned per second of a processor; difference: not measured"],
    )


def _plan(manifest: Path, out: Path, shard: str, count: int) -> dict[str, float]:
    made: dict[str, float] = json.loads(_run(PLAN, manifest, out, shard, count))
    return made


def _run(script: str, *arguments: object) -> str:
    line = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    raise SystemExit(main("scoring.corpus", measure))
