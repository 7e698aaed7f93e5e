"""Write the bundled ``mini`` pair from what ``hear-aesthetics pretrain`` made.

The commands that made ``mini-0.2``, in their order; the two runs side by side, a core each::

    export OMP_NUM_THREADS=1
    hear-aesthetics render-pool POOL --hours 12 --seed 1
    options="--pool POOL --out RUN --steps 5500 --batch 8 --seconds 3.2 --precision bfloat16"
    options="$options --evaluate-every 500 --save-every 250 --snapshot-every 1100"
    hear-aesthetics pretrain --source musicfm --objective multitask=1,masked=0.2 $options
    hear-aesthetics pretrain --source muq --objective multitask=1,distil=1,masked=0.2 $options
    python -m benchmarks.representation.choice --model RUN --tasks TASKS_DIR  # states and pooling
    python scripts/make_mini.py RUN --layer 2,5 --pooling mean+std --standardize
"""

import argparse
import json
import shutil
from pathlib import Path

from hear_aesthetics.features.fusion import Layer, parse_layer
from hear_aesthetics.pretraining.config import SOURCES
from hear_aesthetics.pretraining.export import MODEL_JSON, write_model_json
from hear_aesthetics.pretraining.initialization import OBJECTIVE_FILE
from hear_aesthetics.pretraining.standardization import standardize_model

BUNDLED = Path(__file__).parents[1] / "hear_aesthetics" / "weights" / "mini-0.2"
KEPT = ("README.md", "log.csv")  # of the folder of a run: model card and learning curve


def main(run: Path, out: Path, layer: Layer, pooling: str, standardize: bool) -> None:
    """Write the model directory."""
    for source in SOURCES:
        folder = out / source
        folder.mkdir(parents=True, exist_ok=True)
        for path in (run / source).iterdir():
            if path.is_file() and path.name != OBJECTIVE_FILE:
                shutil.copyfile(path, folder / path.name)
        for name in KEPT:
            shutil.copyfile(run / source / "pretraining" / name, folder / name)
    about = json.loads((run / MODEL_JSON).read_text())
    values = {key: about[key] for key in ("status", "provenance", "delay_ms")}
    write_model_json(out, layer=layer, pooling=pooling, **values)
    if standardize:
        standardize_model(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="what hear-aesthetics pretrain wrote")
    parser.add_argument("--out", type=Path, default=BUNDLED)
    parser.add_argument("--layer", type=parse_layer, required=True)
    parser.add_argument("--pooling", required=True)
    parser.add_argument(
        "--standardize", action="store_true", help="add constants that standardize embeddings"
    )
    main(**vars(parser.parse_args()))
