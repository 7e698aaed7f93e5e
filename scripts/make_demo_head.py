"""Write the bundled demo head: an aesthetic head that was trained on composed songs with ``mini``.

    python -m benchmarks.songeval
    python scripts/make_demo_head.py RUN [DIRECTORY]

``RUN`` is a run of ``hear-aesthetics songeval train``. Songs and ratings are simulated, so the
files say that the scores are a demonstration.
"""

import json
import sys
from pathlib import Path

from heads import AestheticHead

BUNDLED = Path(__file__).parents[1] / "songeval_task" / "weights" / "demo"


def main(run: Path, directory: Path) -> None:
    """Write the folder of the head."""
    head = AestheticHead.from_pretrained(run)
    known = json.loads((run / "config.json").read_text())["provenance"]
    head.save_pretrained(
        directory,
        {
            "status": "demo",
            "model": "mini",
            "model_sha256": {k: v["sha256"] for k, v in known["features"]["encoders"].items()},
            "training": known["training"],
            "data": "composed songs with simulated ratings: its scores say nothing about music",
            "license": "apache-2.0",
            "command": "python scripts/make_demo_head.py RUN",
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else BUNDLED)
