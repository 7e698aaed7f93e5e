"""Needs espeakng-loader."""

import numpy as np
import pytest

from hear_aesthetics.pretraining.rendered.espeak import SpeechCrashError, Utterance, speak

pytest.importorskip("espeakng_loader")
SUN = Utterance("sasa", "es+f2", 120)


def test_phonemes_come_in_order_where_their_sound_is() -> None:
    rate, ((samples, phonemes),) = speak([SUN], seed=1)
    assert [p.name for p in phonemes if p.name] == ["s", "a", "s", "a"]
    starts = [p.start for p in phonemes]
    assert starts == sorted(starts)
    frame = round(0.01 * rate)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    crossings = np.mean(np.diff(np.signbit(frames), axis=1), axis=1)  # many in s, few in a
    for phoneme, end in zip(phonemes[:4], starts[1:5], strict=True):
        inner = crossings[round(phoneme.start / 0.01) + 4 : round(end / 0.01) - 4]
        assert len(inner)
        assert (np.median(inner) > 0.25) == (phoneme.name == "s")


def test_equal_seeds_speak_alike() -> None:
    first, second = (speak([SUN, Utterance("mare", "it")], seed=4)[1] for _ in range(2))
    for (one, names), (other, same) in zip(first, second, strict=True):
        assert np.array_equal(one, other)
        assert names == same


def test_a_voice_that_is_unknown_ends_the_process_alone() -> None:
    with pytest.raises(SpeechCrashError):
        speak([Utterance("mare", "no-such-voice")], seed=1)
