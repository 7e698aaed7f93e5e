"""Write the bundled ``mini`` pair: the published architecture made small.

    python scripts/make_mini.py [DIRECTORY]                                  seeded, untrained
    python scripts/make_mini.py [DIRECTORY] --run RUN --layer 2 --pooling mean+std     pretrained

Without a run the weights are random, and the files say so; the same seeds give the same files.
``RUN`` is the model directory that ``hear-aesthetics pretrain`` wrote for both sources.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.pretraining.config import MINI
from hear_aesthetics.pretraining.export import MODEL_JSON, write_encoder, write_model_json

BUNDLED = Path(__file__).parents[1] / "hear_aesthetics" / "weights" / "mini"
SEEDS = {"musicfm": 1, "muq": 2}
CARD = Path("pretraining") / "README.md"


def main(directory: Path, run: Path | None, layer: int, pooling: str) -> None:
    """Write the model directory."""
    if run is None:
        untrained(directory)
    else:
        trained(directory, run, layer, pooling)


def untrained(directory: Path, seeds: dict[str, int] = SEEDS) -> None:
    """Write a pair that knows nothing."""
    for source, seed in seeds.items():
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            backbone = Backbone(MINI)
        write_encoder(directory, source, backbone, f"untrained, seed {seed}, Apache-2.0")
    provenance = {"command": "python scripts/make_mini.py", "seeds": seeds}
    write_model_json(directory, layer=MINI.depth, status="untrained", provenance=provenance)


def trained(directory: Path, run: Path, layer: int, pooling: str) -> None:
    """Take the pair of a pretraining run, with its model cards."""
    for source in SEEDS:
        folder = directory / source
        folder.mkdir(parents=True, exist_ok=True)
        for path in (run / source).iterdir():
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        shutil.copyfile(run / source / CARD, folder / CARD.name)
    about = json.loads((run / MODEL_JSON).read_text())
    write_model_json(
        directory,
        layer=layer,
        status=about["status"],
        provenance=about["provenance"],
        pooling=pooling,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, nargs="?", default=BUNDLED)
    parser.add_argument("--run", type=Path, help="take the encoders of a pretraining run")
    parser.add_argument("--layer", type=int, default=MINI.depth)
    parser.add_argument("--pooling", default="mean")
    main(**vars(parser.parse_args()))
