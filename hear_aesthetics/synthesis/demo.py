"""Song of the demonstration."""

import numpy as np

from hear_aesthetics.synthesis.composition.composer import compose
from hear_aesthetics.synthesis.sound.renderer import render

__all__ = ["demo_song"]


def demo_song(seconds: float = 30.0, seed: int = 0, sample_rate: int = 48_000) -> np.ndarray:
    """Return a short song with clear sections A B A, ``(samples,)`` float32."""
    return render(compose(seed, seconds, style="pop", form="ABA"), sample_rate)
