"""The client: scores of a server where a scorer was, errors as of files, patience with a queue."""

import threading
import time

import httpx2
import numpy as np
import pytest
import torch

from hear_aesthetics.errors import AudioError, InputError
from songeval_task import AestheticScorer, RemoteScorer
from songeval_task.scoring.rows import AudioSpan
from songeval_task.service import connection as module
from songeval_task.service.connection import ServiceError

URL = "http://127.0.0.1:7860"


@pytest.fixture
def remote(open_client, monkeypatch) -> RemoteScorer:
    """A client of an application in this process."""
    monkeypatch.setattr(module, "open_client", lambda *_: open_client())
    with RemoteScorer(URL) as scorer:
        yield scorer


def test_files_score_as_here(remote, demo_scorer, write_clip, tmp_path) -> None:
    paths = [write_clip(tmp_path / f"{i}.wav", 3.0 + 0.5 * (i % 3), seed=i) for i in range(6)]
    clips = [AudioSpan(paths[0], 0.5, 2.0), *map(AudioSpan, paths), AudioSpan(tmp_path / "no.wav")]
    options = {"timeline": True, "explain": True, "loudness": -20.0}
    here = list(demo_scorer.score_files(clips, **options))
    there = list(remote.score_files(clips, **options))
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.item is ours.item
        assert theirs.seconds == pytest.approx(ours.seconds, abs=1e-3)
        if ours.error:
            assert str(theirs.error).startswith(f"{tmp_path / 'no.wav'}: ")
            continue
        right, found = ours.output, theirs.output
        assert found.values == pytest.approx(right.values, abs=1e-4)
        assert found.means == pytest.approx(right.means, abs=1e-4)
        assert found.loudness_lufs == pytest.approx(right.loudness_lufs, abs=0.01)
        assert len(found.timeline) == len(right.timeline)
        same = ("path", "start", "end", "model", "head", "demo", "warnings")
        assert [getattr(found, n) for n in same] == [getattr(right, n) for n in same]


def test_it_says_what_the_scorer_says(remote, demo_scorer) -> None:
    assert isinstance(demo_scorer, AestheticScorer)
    for name in ("columns", "model_name", "demo"):
        assert getattr(remote, name) == getattr(demo_scorer, name)
    for name in (
        "name",
        "groups",
        "means",
        "columns",
        "all_columns",
        "interval_columns",
        "notes",
        "gives",
    ):
        assert getattr(remote.scorer_set, name) == getattr(demo_scorer.scorer_set, name)
    assert remote.provenance["status"] == demo_scorer.provenance["status"]
    assert remote.fingerprint().keys() == demo_scorer.fingerprint().keys()
    public = {n for n in vars(AestheticScorer) if not n.startswith("_")}
    of_a_model = {
        "from_pretrained",
        "required_model",
        "device",
        "to",
        "features",
        "batches_at_once",
    }
    assert public - of_a_model - {"measure_options"} <= set(dir(remote))


def test_errors_name_the_file_of_this_side(remote, write_broken, tmp_path) -> None:
    for name in write_broken(tmp_path / "broken"):
        path = tmp_path / "broken" / name
        with pytest.raises(AudioError) as error:
            remote.score(path)
        assert str(error.value).startswith(f"{path}: ")
        assert str(error.value).count(name) == 1


def test_longer_clips_than_allowed_are_errors(remote, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", 3.0)
    with pytest.raises(AudioError, match=r"more than 0\.01 min"):
        remote.score(path, max_minutes=0.01)


@pytest.mark.parametrize("shape", [(3, 72_000), (2, 2, 72_000)])
def test_waveforms_score_as_here(remote, demo_scorer, shape) -> None:
    waveforms = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, shape).astype("f4"))
    here = demo_scorer.score_waveforms(waveforms, 24_000)
    there = remote.score_waveforms(waveforms, 24_000, prompts=["a"] * len(waveforms))
    torch.testing.assert_close(there, here, atol=1e-4, rtol=0)
    assert remote.waveform_warnings(waveforms, 24_000) == demo_scorer.waveform_warnings(
        waveforms, 24_000
    )


def test_bad_waveforms_are_errors_of_the_caller(remote) -> None:
    with pytest.raises(TypeError, match="pass a torch tensor"):
        remote.score_waveforms(np.zeros((1, 24_000)), 24_000)
    with pytest.raises(ValueError, match="finite"):
        remote.score_waveforms(torch.full((1, 24_000), torch.nan), 24_000)
    with pytest.raises(ValueError, match="need at least"):
        remote.score_waveforms(torch.zeros(1, 100), 24_000)
    with pytest.raises(ValueError, match="2 prompts for 1"):
        remote.score_waveforms(torch.zeros(1, 24_000), 24_000, prompts=["a", "b"])


def test_calibrations_and_features_stay_with_the_server(remote, tmp_path) -> None:
    with pytest.raises(InputError, match="start it with --calibration"):
        remote.calibrate([tmp_path / "c.json"])
    remote.calibrate([])
    with pytest.raises(InputError, match="a server scores audio"):
        remote.check_reads()
    (result,) = remote.score_features([AudioSpan("a.npy")])
    assert "a server scores audio" in str(result.error)


def test_it_waits_for_a_place(remote, jobs, write_clip, tmp_path, monkeypatch) -> None:
    path, waits = write_clip(tmp_path / "a.wav"), []
    free = threading.Event()
    sleep = time.sleep
    monkeypatch.setattr(module.time, "sleep", lambda s: (waits.append(s), free.set(), sleep(0.05)))

    def hold() -> None:
        with jobs.places(8):
            held.set()
            free.wait(60)

    held, thread = threading.Event(), threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    assert remote.score(path).values
    thread.join()
    assert waits
    assert all(1 <= seconds <= 30 for seconds in waits)


def test_impatience_is_an_error(open_client, jobs, write_clip, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "open_client", lambda *_: open_client())
    scorer = RemoteScorer(URL, patience=0)
    with jobs.places(8), pytest.raises(ServiceError, match=r"answers 503 .*places free"):
        scorer.score(write_clip(tmp_path / "a.wav"))


def test_a_server_that_is_none_is_said_in_one_line(open_client, monkeypatch) -> None:
    with pytest.raises(ServiceError, match=r"does not answer .*is `hear-aesthetics serve` running"):
        RemoteScorer("http://127.0.0.1:9")
    with pytest.raises(ServiceError, match="127"):
        RemoteScorer("127.0.0.1:7860")
    monkeypatch.setattr(module, "open_client", lambda *_: open_client(token="a"))
    with pytest.raises(ServiceError, match=r"answers 401 .*needs the token"):
        RemoteScorer(URL)
    for content in ("<html>", "[]", '{"head": "demo"}'):
        other = httpx2.MockTransport(lambda _, text=content: httpx2.Response(200, text=text))
        opened = httpx2.Client(transport=other, base_url=URL)
        monkeypatch.setattr(module, "open_client", lambda *_, opened=opened: opened)
        with pytest.raises(ServiceError, match=r"answers 200|is no server of hear-aesthetics"):
            RemoteScorer(URL)


def test_intervals_and_novelty_come_along(
    decoder, calibrate_demo, write_clip, tmp_path, monkeypatch
) -> None:
    from starlette.testclient import TestClient

    from songeval_task.service.app import create_app
    from songeval_task.service.job_queue import JobQueue
    from songeval_task.service.settings import ServiceSettings

    scorer = AestheticScorer.from_pretrained(model="mini")
    scorer.calibrate([calibrate_demo(tmp_path / "c.json", 0.1)])
    with JobQueue(scorer, decoder) as queue:
        app = create_app(queue, ServiceSettings())
        monkeypatch.setattr(module, "open_client", lambda *_: TestClient(app, base_url=URL))
        remote = RemoteScorer(URL)
        path = write_clip(tmp_path / "a.wav", 3.0)
        found, right = remote.score(path), scorer.score(path)
    assert found.intervals.keys() == right.intervals.keys()
    for column, ends in right.intervals.items():
        assert found.intervals[column] == pytest.approx(ends, abs=1e-4)
    assert found.novelty == pytest.approx(right.novelty, abs=0.1)
    with pytest.raises(InputError, match=r"coverage is 0\.5"):
        remote.calibrate([], 0.5)
