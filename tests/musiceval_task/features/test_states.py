"""States are computed once per clip and once per prompt, by encoders that nothing changes."""

from pathlib import Path

import pytest
import torch

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.errors import AudioError
from musiceval_task.data.dataset import read_clips
from musiceval_task.features.states import AudioEncoder, StateStore, clip_states, prompt_states
from musiceval_task.features.text import TextEncoder


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    return AudioEncoder("mini")


def test_the_state_is_the_last_of_muq(encoder: AudioEncoder, small_set: Path) -> None:
    assert encoder.reads == "muq_06"  # mini has six layers, the published encoder twelve
    waveform = torch.from_numpy(load_audio(read_clips(small_set)[0].path))[None]
    backbone = encoder.model.fused.encoders["muq"]
    expected = backbone.hidden_states(waveform, (6,))[6]
    torch.testing.assert_close(encoder.states(waveform), expected, rtol=1e-5, atol=1e-5)


def test_each_clip_and_prompt_is_encoded_once_ever(
    small_set: Path, roberta: Path, tmp_path: Path
) -> None:
    clips, store = read_clips(small_set), StateStore(tmp_path)
    for new in (True, False):  # the second round has encoders of its own: only the disk remembers
        audio, text = AudioEncoder("mini"), TextEncoder(roberta)
        states = clip_states(clips, audio, store)
        words = prompt_states([clip.prompt for clip in clips], text, store)
        assert (audio.encoded, text.encoded) == ((9, 6) if new else (0, 0))
    assert len(states) == 9
    assert set(words) == {clip.prompt for clip in clips}


def test_stored_states_are_those_of_the_encoder(
    encoder: AudioEncoder, small_set: Path, tmp_path: Path
) -> None:
    clips = read_clips(small_set)
    stored = clip_states(clips, encoder, StateStore(tmp_path))
    for clip, states in zip(clips, stored, strict=True):
        fresh = encoder.states(torch.from_numpy(load_audio(clip.path))[None])[0]
        torch.testing.assert_close(states.float(), fresh, rtol=1e-3, atol=2e-3)  # kept in float16


def test_a_clip_that_changed_is_encoded_again(encoder: AudioEncoder, musiceval: Path) -> None:
    import soundfile

    store, clips = StateStore(musiceval / "states"), read_clips(musiceval)
    clip_states(clips, encoder, store)
    before = encoder.encoded
    samples, rate = soundfile.read(clips[0].path)
    soundfile.write(clips[0].path, 0.5 * samples[::-1], rate)
    clip_states(clips, encoder, store)
    assert encoder.encoded == before + 1


def test_clips_with_the_same_audio_are_encoded_once(encoder: AudioEncoder, musiceval: Path) -> None:
    clips = read_clips(musiceval)
    clips[1].path.write_bytes(clips[0].path.read_bytes())
    before = encoder.encoded
    states = clip_states(clips, encoder, StateStore(musiceval / "states"))
    assert encoder.encoded == before + 8
    assert torch.equal(states[0], states[1])


def test_a_broken_file_of_the_store_is_made_again(
    encoder: AudioEncoder, small_set: Path, tmp_path: Path
) -> None:
    clips, store = read_clips(small_set)[:1], StateStore(tmp_path)
    clip_states(clips, encoder, store)
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:50])
    before = encoder.encoded
    clip_states(clips, encoder, store)
    assert encoder.encoded == before + 1


def test_states_of_audio_of_an_earlier_length_rule_are_not_taken(encoder: AudioEncoder) -> None:
    assert encoder.fingerprint()["length_rule"] == "librosa"


def test_a_clip_that_cannot_be_read_is_an_error_that_names_it(
    encoder: AudioEncoder, musiceval: Path
) -> None:
    clips = read_clips(musiceval)
    clips[2].path.write_bytes(b"no audio")
    with pytest.raises(AudioError, match=clips[2].name):
        clip_states(clips, encoder, StateStore(musiceval / "states"))


def test_only_thirty_seconds_are_heard(encoder: AudioEncoder, tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    from musiceval_task.data.dataset import MusicEvalClip

    samples = 0.1 * np.random.default_rng(0).standard_normal(33 * 24_000)
    soundfile.write(tmp_path / "long.wav", samples, 24_000)
    (states,) = clip_states(
        [MusicEvalClip("long.wav", tmp_path / "long.wav", "")],
        encoder,
        StateStore(tmp_path / "states"),
    )
    assert len(states) == 750


def test_states_of_another_precision_are_not_taken(small_set: Path, tmp_path: Path) -> None:
    clips, store = read_clips(small_set)[:1], StateStore(tmp_path)
    for precision in ("float32", "bfloat16"):
        encoder = AudioEncoder("mini", precision=precision, device="cpu")
        clip_states(clips, encoder, store)
        assert encoder.encoded == 1


def test_a_clip_whose_states_are_not_finite_is_an_error_that_names_it(
    encoder: AudioEncoder, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, store = read_clips(small_set)[:1], StateStore(tmp_path)
    monkeypatch.setattr(encoder, "states", lambda _: torch.full((1, 3, 8), torch.nan))
    with pytest.raises(AudioError, match=rf"{clips[0].path.name}.*not finite"):
        clip_states(clips, encoder, store)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_a_killed_run_left_is_removed(tmp_path: Path, roberta: Path) -> None:
    from musiceval_task.training.runs import Encoders

    left = tmp_path / "audio" / ".x.safetensors.999999999.partial"
    left.parent.mkdir()
    left.write_bytes(b"half")
    Encoders.load("mini", str(roberta), tmp_path, precision="float32", device="cpu")
    assert not left.exists()
