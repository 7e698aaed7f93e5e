"""What probes see of a pair: states of every layer, side by side, chosen on valid alone."""

import numpy as np
import pytest
import torch

from benchmarks.common.representation import Split, TaskData
from benchmarks.common.small_pairs import choices, choose, embed, inputs, log_mel_statistics, scores
from hear_aesthetics.backbones import Backbone
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.features.fusion import SOURCES

TINY = ConformerConfig(dim=32, depth=2, heads=2, ffn_dim=64, conv_channels=8)


def task(name: str, clips: np.ndarray, labels: np.ndarray) -> TaskData:
    rows = np.random.default_rng(0).permutation(len(labels))
    return TaskData(name, clips, labels, (Split(*np.split(rows, [30, 45])),))


@pytest.fixture(scope="module")
def pair() -> dict[str, Backbone]:
    torch.manual_seed(0)
    return {source: Backbone(TINY).eval() for source in SOURCES}


@pytest.fixture(scope="module")
def tones() -> TaskData:
    labels = np.arange(60) % 2
    noise = 0.01 * np.random.default_rng(1).normal(size=(60, 9600))
    wave = np.sin(2 * np.pi * (300 + 900 * labels[:, None]) * np.arange(9600) / 24_000)
    return task("tones", (noise + 0.3 * wave).astype(np.float32), labels)


def test_states_are_those_of_the_encoder_and_shared_clips_are_encoded_once(pair, tones) -> None:
    again = TaskData("again", tones.clips, tones.labels, tones.splits)
    states = embed([tones, again], pair)
    assert states["again"] is states["tones"]
    assert set(states["tones"]) == {(s, k) for s in SOURCES for k in (1, 2)}
    with torch.no_grad():
        frames = pair["muq"].hidden_states(torch.from_numpy(tones.clips[:2]), (2,))[2]
    moments = torch.cat([frames.mean(1), frames.std(1, correction=0)], 1)
    np.testing.assert_allclose(states["tones"]["muq", 2][:2], moments, atol=1e-4)


def test_inputs_are_the_sources_side_by_side(pair, tones) -> None:
    states = embed([tones], pair)["tones"]
    assert inputs(states, (1, "mean")).shape == (60, 2 * 32)
    assert inputs(states, (1, "mean+std"), ("muq",)).shape == (60, 2 * 32)
    np.testing.assert_array_equal(inputs(states, (2, "mean"))[:, 32:], states["muq", 2][:, :32])


def test_the_choice_is_the_best_on_valid_and_ignores_test() -> None:
    labels = np.arange(60) % 2
    data = task("x", np.zeros((60, 1), np.float32), labels)
    test = data.splits[0].test
    clear, cheating = np.random.default_rng(2).normal(size=(2, 60, 8))
    clear[:, 0] += 6 * labels
    clear[test] = 0.0  # useless on test
    cheating[test, 0] += 9 * labels[test]
    states = {"x": {("muq", 1): clear, ("muq", 2): cheating}}
    found = choose([data], states, ("muq",))
    assert set(found) == set(choices(states["x"]))
    assert next(iter(found))[0] == 1
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_log_mel_statistics_tell_tones_apart(tones) -> None:
    values = log_mel_statistics(tones)
    assert values.shape == (60, 256)
    assert scores(values, tones)[1] == [1.0]
