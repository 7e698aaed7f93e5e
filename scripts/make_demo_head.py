"""Write the bundled demo head: an aesthetic head for the features of ``mini``, with seeded weights.

    python scripts/make_demo_head.py [DIRECTORY]

The weights are random and untrained, and the files say so. The same seed gives the same files.
"""

import sys
from pathlib import Path

import torch

from heads import AestheticHead, AestheticHeadConfig
from hear_aesthetics import load_model

BUNDLED = Path(__file__).parents[1] / "songeval_task" / "weights" / "demo"
SEED = 3
SHARPNESS = 60.0  # of the pooling: freshly drawn it attends evenly, and explanations would be flat
SIZES = {"projection_dim": 128, "dim": 64, "ffn_dim": 128, "layers": 2, "pooling_bottleneck": 16}


def main(directory: Path) -> None:
    """Write the folder of the head."""
    feature_dim = load_model("mini").timestamp_embedding_size
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        head = AestheticHead(AestheticHeadConfig(feature_dim=feature_dim, **SIZES))
    with torch.no_grad():
        head.pooling.scorers[-1].weight.mul_(SHARPNESS)
    head.save_pretrained(
        directory,
        {
            "status": "demo",
            "model": "mini",
            "seed": SEED,
            "data": "none: untrained, its scores say nothing about music",
            "license": "apache-2.0",
            "command": "python scripts/make_demo_head.py",
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED)
