"""The queue: results of the engine, bounded places, nothing lost at the end."""

import threading
import time

import numpy as np
import pytest

from hear_aesthetics.engine.embedding_files import embed
from hear_aesthetics.errors import AudioError, HearAestheticsError, InputError
from songeval_task.scoring.rows import AudioSpan
from songeval_task.service import job_queue as module
from songeval_task.service.decoding.pool import Upload
from songeval_task.service.job_queue import EmbedJob, JobQueue, QueueFullError, ScoreJob


def test_scores_are_those_of_the_scorer(jobs, demo_scorer, upload, write_clip, tmp_path) -> None:
    lengths = (3.0, 4.0, 3.0, 3.5, 4.0, 3.0)
    paths = [write_clip(tmp_path / f"{i}.wav", s, seed=i) for i, s in enumerate(lengths)]
    with jobs.places(len(paths)):
        futures = [jobs.submit(ScoreJob(upload=upload(path, path.name))) for path in paths]
        found = [future.result(60) for future in futures]
    for path, scores in zip(paths, found, strict=True):
        right = demo_scorer.score(path)
        assert scores.values == pytest.approx(right.values, abs=1e-5)
        assert (scores.path, scores.duration) == (path.name, right.duration)
        assert (scores.loudness_lufs, scores.warnings) == (right.loudness_lufs, right.warnings)


def test_options_reach_the_scorer(jobs, demo_scorer, upload, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=2.0)
    options = {"timeline": True, "explain": True, "loudness": -30.0}
    span = {"start": 0.5, "end": 1.5}
    scores = jobs.submit(ScoreJob(upload=upload(path), **span, **options)).result(60)
    right = demo_scorer.score(path, **span, **options)
    assert scores.values == pytest.approx(right.values, abs=1e-5)
    assert scores.values != pytest.approx(demo_scorer.score(path).values, abs=1e-5)
    assert [window["end"] for window in scores.timeline] == [w["end"] for w in right.timeline]
    assert scores.explain
    assert (scores.start, scores.end) == (0.5, 1.5)


@pytest.mark.parametrize("kind", ["scene", "timestamps"])
def test_embeddings_are_those_of_embed(
    jobs, demo_scorer, upload, write_clip, tmp_path, kind
) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=1.0, sample_rate=44_100)
    made = jobs.submit(EmbedJob(upload=upload(path), embedding=kind)).result(60)
    (right,) = embed([AudioSpan(path)], demo_scorer.model, kind)
    np.testing.assert_allclose(made.embedding, right.output["embedding"].numpy(), atol=1e-5)
    np.testing.assert_array_equal(made.timestamps_ms, right.output["timestamps_ms"].numpy())
    assert made.meta["duration"] == right.seconds
    assert made.meta["path"] == "clip.wav"


def test_broken_audio_fails_its_own_job(jobs, upload, write_clip, tmp_path) -> None:
    good = jobs.submit(ScoreJob(upload=upload(write_clip(tmp_path / "a.wav"))))
    bad = jobs.submit(ScoreJob(upload=upload(b"no audio", "b.wav")))
    assert good.result(60)
    with pytest.raises(AudioError, match=r"^b\.wav: "):
        bad.result(60)


def test_places_are_bounded_and_come_back(jobs) -> None:
    with jobs.places(6) as places:
        places.take(2)
        with pytest.raises(QueueFullError, match="has 0 of 8 places free") as error, jobs.places():
            pytest.fail("there was no place")
        assert error.value.retry_after >= 1
        assert jobs.taken == 8
    assert jobs.taken == 0
    with jobs.places(8):
        pass


@pytest.mark.parametrize(("passing", "order"), [(100.0, "ashort"), (0.001, "along")])
def test_a_long_clip_lets_shorter_ones_pass_for_a_while(
    demo_scorer, decoder, upload, write_clip, tmp_path, monkeypatch, passing, order
) -> None:
    monkeypatch.setattr(module, "PASSING", passing)
    short, long = (write_clip(tmp_path / f"{s}.wav", s) for s in (1.0, 50.0))
    done: list[str] = []
    started, go_on = threading.Event(), threading.Event()
    score_files = type(demo_scorer).score_files

    def wait_and_score(self, clips, **options):
        started.set()
        assert go_on.wait(60)
        return score_files(self, clips, **options)

    monkeypatch.setattr(type(demo_scorer), "score_files", wait_and_score)
    with JobQueue(demo_scorer, decoder) as queue:
        monkeypatch.setattr(queue, "_group_seconds", 10.0)  # a long one fills it

        def submit(path, name: str) -> None:
            future = queue.submit(ScoreJob(upload=upload(path, name)))
            future.add_done_callback(lambda _: done.append(name))

        submit(short, "a")
        assert started.wait(60)
        for _ in range(2):
            submit(long, "long")
        while not queue._decoded:
            time.sleep(0.01)
        time.sleep(0.1)  # longer than a thousandth of 50 s
        for _ in range(2):
            submit(short, "short")
        for _ in range(1000 if passing > 1 else 0):  # until those that pass are decoded
            if sum(waiting.seconds < 2 for waiting in queue._decoded) == 2:
                break
            time.sleep(0.01)
        go_on.set()
    assert "".join(done).startswith(order)
    assert sorted(done) == ["a", "long", "long", "short", "short"]


class SlowDecoder:
    """Decoder that waits until it may go on."""

    workers, max_seconds = 1, 60.0

    def __init__(self, decoder) -> None:
        self.decoded: list[str] = []
        self.go_on = threading.Event()
        self._decoder = decoder

    def decode(self, upload: Upload, options):
        self.go_on.wait(60)
        self.decoded.append(upload.name)
        return self._decoder.decode(upload, options)


def test_a_cancelled_job_is_dropped(demo_scorer, decoder, upload, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav")
    slow = SlowDecoder(decoder)
    with JobQueue(demo_scorer, slow) as queue:
        names = ("first", "left", "last")
        futures = [queue.submit(ScoreJob(upload=upload(path, name))) for name in names]
        futures[1].cancel()
        slow.go_on.set()
        assert futures[2].result(60)
    assert slow.decoded == ["first", "last"]


def test_closing_finishes_what_waits(demo_scorer, decoder, upload, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav")
    with JobQueue(demo_scorer, decoder) as queue:
        futures = [queue.submit(ScoreJob(upload=upload(path))) for _ in range(5)]
        assert queue.works
    assert all(future.done() and future.exception() is None for future in futures)
    assert not queue.works


def test_an_unexpected_failure_is_one_line_and_the_next_job_works(
    demo_scorer, decoder, upload, write_clip, tmp_path, monkeypatch
) -> None:
    path = write_clip(tmp_path / "a.wav")
    with JobQueue(demo_scorer, decoder) as queue:
        with monkeypatch.context() as patch:
            patch.setattr(type(demo_scorer), "score_files", lambda *_, **__: 1 / 0)
            with pytest.raises(
                HearAestheticsError, match=r"clip\.wav: ZeroDivisionError: .*report"
            ):
                queue.submit(ScoreJob(upload=upload(path))).result(60)
        assert queue.submit(ScoreJob(upload=upload(path))).result(60)


def test_embeddings_need_the_whole_model(published_heads, tiny_model_directory, decoder) -> None:
    from songeval_task import AestheticScorer

    scorer = AestheticScorer.from_pretrained("demo", model="mini")
    scorer.model.fused.views = ("track",)
    queue = JobQueue(scorer, decoder)
    with pytest.raises(InputError, match="needs a part of the model"):
        queue.submit(EmbedJob(upload=Upload(None, "a.wav")))
