"""Pipeline of Ray Data: scores of all songs, then embeddings of the best, as Parquet.

    pip install "hear-aesthetics[ray]"
    python examples/ray_pipeline.py songs/ best/                    # starts Ray on this machine
    RAY_ADDRESS=auto python examples/ray_pipeline.py songs/ best/   # the cluster of this machine

On a cluster the songs lie under the same paths on every node. Its default model `mini` has demo
scores, which say nothing about music.
"""

import sys
from pathlib import Path
from typing import Any

import ray

from hear_aesthetics.distributed import Embedder, Scorer

FORMATS = {".wav", ".flac", ".mp3", ".ogg", ".opus"}
KEPT = 0.25  # of the songs


def main(songs: str, out: str, model: str = "mini", actors: int = 1) -> Any:
    """Write the best songs with their scores and embeddings; return them as a data set."""
    paths = sorted(path.resolve() for path in Path(songs).rglob("*") if path.suffix in FORMATS)
    # One actor holds one model; with GPUs give it one of them: num_gpus=1.
    stage = {
        "compute": ray.data.ActorPoolStrategy(size=actors),
        "fn_constructor_kwargs": {"model": model},
        "batch_size": 8,
    }
    rows = ray.data.from_items([{"path": str(path)} for path in paths])
    scored = rows.map_batches(Scorer, **stage).materialize()
    for row in scored.filter(lambda row: row["status"] != "ok").take_all():
        print(row["error"], file=sys.stderr)
    good = scored.filter(lambda row: row["status"] == "ok").sort("mean", descending=True)
    best = good.limit(max(1, round(KEPT * len(paths)))).map_batches(Embedder, **stage)
    best.write_parquet(out)
    return ray.data.read_parquet(out)


if __name__ == "__main__":
    for song in main(*sys.argv[1:]).take_all():
        print(f"{song['mean']:.2f}  {len(song['embedding'])} dimensions  {song['path']}")
