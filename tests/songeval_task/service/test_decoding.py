"""Decoding workers: the audio of ``score``, whatever else is sent and whatever dies."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hear_aesthetics.audio.measured import measure_audio
from hear_aesthetics.audio.saving import encode_audio
from hear_aesthetics.errors import AudioError
from songeval_task.service.decoding import pool as pool_module
from songeval_task.service.decoding.pool import DecoderPool

FORMATS = ("waveform_24000", "waveform_16000_sinc")
OPTIONS = {"formats": FORMATS, "min_seconds": 0.1}


@pytest.mark.parametrize("options", [{}, {"start": 0.2, "end": 0.9, "target": -20.0}])
def test_audio_is_what_this_process_would_measure(
    decoder, upload, write_clip, tmp_path, options
) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=1.5, sample_rate=44_100)
    here = measure_audio(path, FORMATS, min_seconds=0.1, **options)
    there = decoder.decode(upload(path), {**OPTIONS, **options})
    assert (there.loudness_lufs, there.faults) == (here.loudness_lufs, here.faults)
    assert there.faults
    for name in FORMATS:
        np.testing.assert_array_equal(there.waveforms.by_name[name], here.waveforms.by_name[name])


def test_broken_files_are_named_as_their_sender_named_them(
    decoder, upload, write_broken, tmp_path
) -> None:
    before = decoder.process_ids
    for name in write_broken(tmp_path / "broken"):
        with pytest.raises(AudioError, match=rf"^\.\./{name}: ") as error:
            decoder.decode(upload(tmp_path / "broken" / name, f"../{name}"), OPTIONS)
        assert "/dev/fd" not in str(error.value)
        assert "\n" not in str(error.value)
    assert decoder.process_ids == before


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/dev/zero", "a\0b.wav", "x" * 900 + ".mp3", "\ud800.wav", ""]
)
def test_names_are_no_paths(decoder, upload, write_clip, tmp_path, name) -> None:
    path = write_clip(tmp_path / "a.wav")
    assert len(decoder.decode(upload(path, name), OPTIONS).waveforms) == 12_000


def test_audio_that_is_longer_than_allowed_is_refused(decoder, upload) -> None:
    hour = encode_audio(np.zeros(3600 * 4000, "f4"), 4000, format="FLAC", subtype="PCM_16")
    assert len(hour) < 200_000
    with pytest.raises(AudioError) as raised:
        decoder.decode(upload(hour, "bomb.flac"), OPTIONS)
    remedy = "take spans of it, or allow more (--max-seconds of serve)"
    assert str(raised.value) == f"bomb.flac: more than 60 s of audio; {remedy}"


def test_a_killed_worker_fails_its_file_alone(decoder, upload) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 59 * 16_000).astype("f4")
    song = encode_audio(noise, 16_000, format="WAV", subtype="FLOAT")
    before = set(decoder.process_ids)
    outcomes: list[object] = []

    def decode() -> None:
        try:
            outcomes.append(decoder.decode(upload(song), OPTIONS))
        except AudioError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=decode) for _ in range(2)]
    for thread in threads:
        thread.start()
    victim = _busiest(before)
    os.kill(victim, signal.SIGKILL)
    for thread in threads:
        thread.join()
    failed = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(failed) <= 1  # none where it had just finished
    assert all("the decoder died of it (SIGKILL)" in line for line in failed)
    assert decoder.decode(upload(song), OPTIONS).waveforms
    assert decoder.decode(upload(song), OPTIONS).waveforms


def _busiest(processes: set[int]) -> int:
    """The worker that is at work first."""
    import psutil

    began = {pid: sum(psutil.Process(pid).cpu_times()[:2]) for pid in processes}
    for _ in range(2000):
        for pid, seconds in began.items():
            if sum(psutil.Process(pid).cpu_times()[:2]) > seconds:
                return pid
        time.sleep(0.002)
    raise AssertionError("no worker began")


def test_a_worker_that_died_idle_is_replaced_unseen(decoder, upload, write_clip, tmp_path) -> None:
    clip = write_clip(tmp_path / "a.wav")
    for pid in decoder.process_ids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    for _ in range(2 * decoder.workers):
        assert decoder.decode(upload(clip), OPTIONS).waveforms


def test_a_killed_worker_leaves_no_link_behind(decoder, upload, write_clip, tmp_path) -> None:
    clip = write_clip(tmp_path / "a.wav")
    folder = Path(decoder._folder.name)
    victim = decoder.process_ids[0]
    (folder / f"{victim}.wav").symlink_to("/dev/fd/9")  # as while it decodes
    os.kill(victim, signal.SIGKILL)
    time.sleep(0.2)
    for _ in range(2 * decoder.workers):
        decoder.decode(upload(clip), OPTIONS)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_limits_of_time_and_memory_end_a_file(upload, write_clip, tmp_path, monkeypatch) -> None:
    clip = write_clip(tmp_path / "a.wav")
    noise = np.random.default_rng(0).normal(0, 0.1, 300 * 48_000).astype("f4")
    song = encode_audio(noise, 48_000, format="WAV", subtype="FLOAT")
    too_slow = pytest.raises(AudioError, match=r"^clip\.wav: decoding took longer than 0\.2 s")
    with DecoderPool(1, timeout=0.2) as pool, too_slow:
        pool.decode(upload(song), OPTIONS)
    monkeypatch.setattr(pool_module, "MEMORY", -200_000_000)  # of what the longest audio takes
    with DecoderPool(1, max_bytes=0, max_seconds=280) as pool:
        with pytest.raises(AudioError, match=r"^clip\.wav: .*memory"):
            pool.decode(upload(song), OPTIONS)
        assert pool.decode(upload(clip), OPTIONS).waveforms


@pytest.mark.slow
def test_workers_end_with_the_server() -> None:
    code = (
        "from songeval_task.service.decoding.pool import DecoderPool\n"
        "import os, signal\n"
        "with DecoderPool(2) as pool:\n"
        "    print(*pool.process_ids, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    processes = list(map(int, done.stdout.split()))
    assert len(processes) == 2
    for _ in range(100):
        if not any(_is_alive(pid) for pid in processes):
            break
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in processes)


def _is_alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
