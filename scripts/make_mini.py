"""Write the bundled ``mini`` pair: the published architecture made small, with seeded weights.

    python scripts/make_mini.py [DIRECTORY]

The weights are random and untrained, and the files say so. The same seeds give the same files.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from hear_aesthetics.backbones import Backbone, MelStatistics
from hear_aesthetics.conformer import ConformerConfig
from hear_aesthetics.spec import FRAME_RATE, HOP_LENGTH, N_MELS

BUNDLED = Path(__file__).parents[1] / "hear_aesthetics" / "weights" / "mini"
CONFIG = ConformerConfig(dim=128, depth=4, heads=4, ffn_dim=256, conv_channels=32)
SEEDS = {"musicfm": 1, "muq": 2}
STATISTICS = MelStatistics()


def main(directory: Path) -> None:
    """Write the model directory."""
    for source, seed in SEEDS.items():
        folder = directory / source
        folder.mkdir(parents=True, exist_ok=True)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = Backbone(CONFIG, STATISTICS).published_state()
        save_file(
            {f"model.{name}": tensor for name, tensor in state.items()},
            folder / "model.safetensors",
            metadata={"about": f"untrained, seed {seed}, Apache-2.0"},  # one: their order varies
        )
    stat = {"melspec_2048_mean": STATISTICS.mean, "melspec_2048_std": STATISTICS.std}
    _write(directory / "musicfm" / "msd_stats.json", stat)
    _write(directory / "muq" / "config.json", _muq_config(stat))
    _write(
        directory / "hear_aesthetics.json",
        {
            "layer": CONFIG.depth,
            "pooling": "mean",
            "precision": "float32",  # at this size bfloat16 is no faster
            "licence": "Apache-2.0",
            "status": "untrained",
            "provenance": {"command": "python scripts/make_mini.py", "seeds": SEEDS},
        },
    )


def _muq_config(stat: dict[str, float]) -> dict[str, object]:
    return {
        "label_rate": FRAME_RATE,
        "hop_length": HOP_LENGTH,
        "n_mels": N_MELS,
        "conv_dim": CONFIG.conv_channels,
        "encoder_dim": CONFIG.dim,
        "encoder_depth": CONFIG.depth,
        "stat": stat,
    }


def _write(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED)
