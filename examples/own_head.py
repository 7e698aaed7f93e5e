"""Head of your own beside the others: a ridge on the model's features, learned from your ratings.

    python examples/own_head.py ratings.csv         # columns path, rating; writes own_head.npz
    pip install ./examples                          # registers it: examples/pyproject.toml
    hear-aesthetics score songs/ --model mini --head own --head demo

Without a table it composes songs, whose rating is how clear they were made to sound.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hear_aesthetics import load_model
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.features.fusion import Features
from hear_aesthetics.synthesis import Qualities, compose, render

WEIGHTS = Path(os.environ.get("OWN_HEAD", "own_head.npz"))
RIDGE = 10.0


class OwnHead:
    """Scorer of one clip; see ``hear_aesthetics.scorers`` for what it may read and say."""

    columns = ("Rating",)
    reads = ("fused",)

    def __init__(self, path: Path = WEIGHTS) -> None:
        with np.load(path, allow_pickle=False) as file:
            self.mean, self.scale, self.weights = file["mean"], file["scale"], file["weights"]
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def __call__(self, features: Features, row: Mapping[str, Any]) -> dict[str, float]:
        """Score a clip by its mean feature."""
        scene = features.read("fused")[0].mean(dim=0).numpy()
        return {"Rating": float(np.append((scene - self.mean) / self.scale, 1) @ self.weights)}

    def provenance(self) -> dict[str, str]:
        """Return what decides the scores: `score` scores songs again when it has changed."""
        return {"sha256": self.sha256}


def fit(paths: list[Path], ratings: np.ndarray, out: Path = WEIGHTS, model: str = "mini") -> None:
    """Fit the ridge on rated songs."""
    encoders = load_model(model)
    waveforms = (torch.from_numpy(load_audio(path))[None] for path in paths)
    scenes = np.stack([encoders.features(w)[0].mean(dim=0).cpu().numpy() for w in waveforms])
    mean, scale = scenes.mean(axis=0), scenes.std(axis=0) + 1e-6
    inputs = (scenes - mean) / scale
    middle = ratings.mean()
    gram = inputs @ inputs.T + RIDGE * np.eye(len(inputs))  # few songs, many features
    weights = inputs.T @ np.linalg.solve(gram, ratings - middle)
    np.savez(out, mean=mean, scale=scale, weights=np.append(weights, middle))


def composed(folder: Path, songs: int = 24) -> pd.DataFrame:
    """Write songs of every clarity, and return their table."""
    ratings = np.linspace(1, 5, songs)
    paths = [folder / f"{song:02}.wav" for song in range(songs)]
    for song, (path, rating) in enumerate(zip(paths, ratings, strict=True)):
        write_audio(path, render(compose(song, 10.0, Qualities(clarity=rating))), 24_000)
    return pd.DataFrame({"path": paths, "rating": ratings})


if __name__ == "__main__":
    table = pd.read_csv(sys.argv[1]) if sys.argv[1:] else composed(Path("rated"))
    fit([Path(path) for path in table["path"]], table["rating"].to_numpy(dtype=float))
