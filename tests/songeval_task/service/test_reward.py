"""The reward protocol against a client written from its description."""

import math
from contextlib import ExitStack

import numpy as np
import pytest

from tests.songeval_task.service.conftest import in_base64

ATTEMPTS = 3


class RewardError(Exception):
    """Answer that the protocol does not have, or an error that the server tells."""


def reward(client, samples, sample_rate: int, prompt: str = "", before_retry=None) -> dict:
    """Ask for a reward; a full server is asked again, at most three times in all."""
    body = {
        "protocol_version": "1",
        "waveform_f32_base64": in_base64(np.asarray(samples)),
        "num_samples": len(samples),
        "sample_rate": sample_rate,
        "prompt": prompt,
        "metadata": {"id": "1"},
    }
    for _ in range(ATTEMPTS):
        answer = client.post("/v1/reward", json=body)
        if answer.status_code != 503:
            break
        assert "error" in answer.json()
        if before_retry:
            before_retry()
    else:
        raise RewardError(f"no answer after {ATTEMPTS} attempts")
    content = answer.json()
    if not isinstance(content, dict):
        raise RewardError("no JSON object")
    if "error" in content:
        raise RewardError(content["error"])
    for name, value in {"score": None, **content}.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise RewardError(f"{name} is {value!r}")
    return content


SAMPLES = np.random.default_rng(0).normal(0, 0.1, 48_000).astype("f4")


def test_finite_numbers_come_back(client) -> None:
    found = reward(client, SAMPLES, 24_000, "a song")
    assert found["score"] == pytest.approx(found["mean"], abs=1e-6)
    assert found["demo"] == 1


def test_silence_has_a_finite_reward_and_a_warning(client) -> None:
    found = reward(client, np.zeros(24_000, "f4"), 24_000)
    assert found["warnings"] >= 1
    assert "loudness_lufs" not in found


def test_a_full_server_is_asked_again(client, jobs) -> None:
    with ExitStack() as full:
        full.enter_context(jobs.places(8))
        assert reward(client, SAMPLES, 24_000, before_retry=full.close)["score"]
    with jobs.places(8), pytest.raises(RewardError, match="no answer after 3 attempts"):
        reward(client, SAMPLES, 24_000)


def test_errors_are_raised(client) -> None:
    with pytest.raises(RewardError, match="need at least"):
        reward(client, SAMPLES[:10], 24_000)
    with pytest.raises(RewardError, match="NaN or infinity"):
        reward(client, np.full(24_000, np.nan), 24_000)
    with pytest.raises(RewardError, match="sample_rate"):
        reward(client, SAMPLES, 0)
