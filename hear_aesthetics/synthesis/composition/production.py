"""Mix settings: room, noise and lead level follow clarity.

Loudness and brightness are drawn independently of all qualities.
"""

import numpy as np

from hear_aesthetics.synthesis.composition.qualities import stream
from hear_aesthetics.synthesis.composition.records import Production

__all__ = ["produce"]

RMS_DB = (-25.0, -16.0)
CENTROID_HZ = (1300.0, 2400.0)
CROSSINGS_PER_CENTROID = (0.75, 1.15)  # zero crossings per second and Hz of centroid


def produce(seed: int, clarity: float) -> Production:
    """Return the mix settings of a song of that clarity (in [0, 1])."""
    rng = stream(seed, "production")
    mud = 1.0 - clarity
    centroid = float(np.exp(rng.uniform(*np.log(CENTROID_HZ))))
    return Production(
        reverb_seconds=float(rng.uniform(0.6, 1.2)) * (1.0 + 2.5 * mud),
        wet=0.1 + 0.38 * mud,
        noise_db=-50.0 + 33.0 * mud,
        lead_db=1.5 - 5.0 * mud,
        rms_db=float(rng.uniform(*RMS_DB)),
        centroid_hz=centroid,
        crossing_rate=centroid * float(rng.uniform(*CROSSINGS_PER_CENTROID)),
    )
