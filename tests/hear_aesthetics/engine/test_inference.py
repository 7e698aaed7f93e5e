"""The engine: order, batches, errors, memory, threads; no padding ever."""

import gc
import random
import re
import threading
import time
import tracemalloc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import hear_aesthetics.model
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.engine import inference as engine
from hear_aesthetics.engine.inference import LOOKAHEAD_BATCHES, run
from hear_aesthetics.errors import AudioError, InputError

MODEL = SimpleNamespace(device=torch.device("cpu"))
RATE = 100  # samples per second: a clip of n samples lasts n / 100 s


@dataclass(frozen=True)
class Clip:
    """Loads to ``length`` samples of value ``number``; ``wrong`` says what goes wrong."""

    number: int
    length: int = RATE
    wrong: str = ""
    seconds_to_load: float = 0.0


def load(clip: Clip) -> np.ndarray:
    time.sleep(clip.seconds_to_load)
    if clip.wrong == "file":
        raise AudioError(f"{clip.number}.wav: damaged; fetch it again")
    if clip.wrong == "package":
        raise ModuleNotFoundError("No module named 'audiomentations'")
    if clip.wrong == "load":
        raise KeyError("surprise")
    return np.full(clip.length, clip.number, dtype=np.float32)


def mean(_: object, waveform: Tensor) -> Tensor:
    return waveform.mean(dim=1)


def clips(lengths: list[int]) -> list[Clip]:
    return [Clip(number, length) for number, length in enumerate(lengths)]


def go(items, work=mean, **options):
    return run(items, MODEL, work, load=load, sample_rate=RATE, **options)


def batches_of(items, **options) -> list[tuple[int, ...]]:
    """Which clips, by number, went through the model together."""
    seen = []

    def work(_: object, waveform: Tensor) -> Tensor:
        seen.append(tuple(waveform[:, 0].int().tolist()))
        return waveform[:, 0]

    for _ in go(items, work, **options):
        pass
    return seen


def test_results_come_in_the_order_of_the_items() -> None:
    items = clips([random.Random(0).choice([50, 100, 700]) for _ in range(200)])
    results = list(go(items, batch_seconds=10, workers=3))
    assert [result.item for result in results] == items
    assert [float(result.output) for result in results] == [item.number for item in items]
    assert [result.seconds for result in results] == [item.length / RATE for item in items]


def test_equal_lengths_find_each_other_across_others() -> None:
    assert batches_of(clips([100, 70, 100, 70, 100]), batch_seconds=10) == [(0, 2, 4), (1, 3)]


def test_a_batch_holds_no_more_audio_than_asked() -> None:
    batches = batches_of(clips([100] * 25), batch_seconds=10)
    assert [len(batch) for batch in batches] == [10, 10, 5]


def test_an_item_longer_than_a_batch_goes_alone() -> None:
    assert batches_of(clips([5000, 5000, 100]), batch_seconds=10) == [(0,), (1,), (2,)]


def test_batches_do_not_depend_on_which_thread_is_first() -> None:
    def slow(seed: int) -> list[Clip]:
        draw = random.Random(seed).random
        lengths = [50, 100, 100, 50, 700] * 12
        return [Clip(n, length, "", 0.003 * draw()) for n, length in enumerate(lengths)]

    first, second = (batches_of(slow(seed), workers=4, batch_seconds=5) for seed in (1, 2))
    assert first == second
    assert max(map(len, first)) > 1


def test_a_first_result_does_not_wait_for_the_last_item() -> None:
    loaded = []

    def note(clip: Clip) -> np.ndarray:
        loaded.append(clip.number)
        return load(clip)

    results = run(clips([500] * 1000), MODEL, mean, load=note, sample_rate=RATE, batch_seconds=5)
    assert next(results).item.number == 0
    assert len(loaded) < 20
    results.close()


def test_files_load_while_the_model_computes() -> None:
    begun = [threading.Event() for _ in range(8)]

    def note(clip: Clip) -> np.ndarray:
        begun[clip.number].set()
        return load(clip)

    def work(_: object, waveform: Tensor) -> Tensor:
        following = min(int(waveform[0, 0]) + 1, 7)
        assert begun[following].wait(10), "the next file has not begun"
        return waveform[:, 0]

    items = clips([1000 + n for n in range(8)])  # each longer than a batch and a window
    results = run(items, MODEL, work, load=note, sample_rate=RATE, batch_seconds=1)
    assert [result.error for result in results] == [None] * 8


@pytest.mark.parametrize(("workers", "length"), [(1, 1), (4, 1), (2, 3600)])
def test_what_is_loaded_and_not_handed_over_is_bounded(workers: int, length: int) -> None:
    """A window and a batch ahead of it, and a file per thread: long files are not hoarded."""
    alive = []
    most = 0

    def note(clip: Clip) -> np.ndarray:
        nonlocal most
        waveform = load(clip)
        alive.append(weakref.ref(waveform))
        alive[:] = [reference for reference in alive if reference() is not None]
        most = max(most, len(alive))
        return waveform

    items = clips([length] * 300)
    options = {"load": note, "sample_rate": 1, "workers": workers, "batch_seconds": 8}
    results = list(run(items, MODEL, mean, **options))
    assert len(results) == 300
    files_per_batch = max(8 // length, 1)
    assert most <= (LOOKAHEAD_BATCHES + 1) * files_per_batch + workers + 1


@pytest.mark.slow
def test_ten_thousand_clips_leave_nothing_behind() -> None:
    def results() -> Iterator[int]:
        for number, result in enumerate(go((Clip(n, 10) for n in range(10_000)), batch_seconds=1)):
            assert result.error is None
            if number in {2_000, 9_999}:
                gc.collect()
                yield tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    early, late = results()
    tracemalloc.stop()
    assert late - early < 100_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("file", r"2\.wav: damaged; fetch it again"), ("load", "KeyError: 'surprise'.*report")],
)
def test_a_bad_file_is_one_error_in_its_place(wrong: str, message: str) -> None:
    items = [*clips([100, 100]), Clip(2, wrong=wrong), Clip(3)]
    results = list(go(items))
    assert [result.error is None for result in results] == [True, True, False, True]
    assert results[2].item == items[2]
    assert results[2].output is None
    assert isinstance(results[2].error, AudioError)
    assert re.search(message, str(results[2].error))
    assert "\n" not in str(results[2].error)


def test_a_missing_package_is_not_the_fault_of_a_file() -> None:
    with pytest.raises(ModuleNotFoundError, match="audiomentations"):
        list(go([Clip(0), Clip(1, wrong="package")]))


def test_nothing_but_bad_files_end_too() -> None:
    assert sum(r.error is not None for r in go([Clip(n, wrong="file") for n in range(600)])) == 600


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "more memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "0.0 min of audio need more memory"),
        (MemoryError(), "take spans of it"),
        (ZeroDivisionError("line one\nline two"), "ZeroDivisionError: line one line two; "),
    ],
)
def test_the_model_failing_on_one_clip_costs_its_batch_nothing(
    error: Exception, message: str
) -> None:
    def work(_: object, waveform: Tensor) -> Tensor:
        if (waveform[:, 0] == 2).any():
            raise error
        return waveform[:, 0]

    results = list(go(clips([100] * 5), work))
    assert [result.item.number for result in results if result.error] == [2]
    assert [float(result.output) for result in results if not result.error] == [0, 1, 3, 4]
    assert message in str(results[2].error)


def test_batches_side_by_side_are_those_of_one_after_the_other() -> None:
    lengths = [random.Random(0).choice([50, 100, 700]) for _ in range(90)]
    items = [*clips(lengths), Clip(90, wrong="file"), Clip(91)]

    def work(_: object, waveform: Tensor) -> Tensor:
        if (waveform[:, 0] == 7).any():
            raise ValueError("no")
        return waveform[:, 0]

    alone, together = (list(go(items, work, batch_seconds=5, batches_at_once=n)) for n in (1, 3))
    assert [result.item for result in together] == items
    assert [result.output for result in together] == [result.output for result in alone]
    assert [n for n, result in enumerate(together) if result.error] == [7, 90]
    seen = [batches_of(clips(lengths), batch_seconds=5, batches_at_once=n) for n in (1, 3)]
    assert sorted(seen[1]) == sorted(seen[0])


def test_batches_side_by_side_have_a_thread_of_pytorch_each() -> None:
    both = threading.Barrier(2, timeout=30)
    seen = []

    def work(_: object, waveform: Tensor) -> Tensor:
        both.wait()
        seen.append((threading.get_ident(), torch.get_num_threads()))
        return waveform[:, 0]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert len(list(go(clips([100] * 4), work, batch_seconds=1, batches_at_once=2))) == 4
        after = []
        other = threading.Thread(target=lambda: after.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert [torch.get_num_threads(), *after] == [2, 2]
    finally:
        torch.set_num_threads(before)
    assert {threads for _, threads in seen} == {1}
    assert len({name for name, _ in seen}) == 2


def test_a_batch_alone_has_all_threads_of_pytorch() -> None:
    def work(_: object, waveform: Tensor) -> Tensor:
        return torch.tensor([threading.get_ident()] * len(waveform))

    for alone in ([Clip(0)], iter([Clip(0)]), clips([100] * 3)):
        for result in go(alone, work, batches_at_once=2):
            assert int(result.output) == threading.get_ident()


def test_a_package_missing_in_a_batch_beside_others_is_told() -> None:
    def work(_: object, waveform: Tensor) -> Tensor:
        raise ModuleNotFoundError("No module named 'x'")

    with pytest.raises(ModuleNotFoundError, match="'x'"):
        list(go(clips([100] * 4), work, batch_seconds=1, batches_at_once=2))


def test_an_error_keeps_no_waveform_alive() -> None:
    seen = []

    def work(_: object, waveform: Tensor) -> Tensor:
        seen.append(weakref.ref(waveform))
        raise ValueError("no")

    results = list(go(clips([100, 100]), work))
    gc.collect()
    assert len(results) == 2
    assert [reference() for reference in seen] == [None] * 3  # the pair, then each alone


def test_tensors_by_name_come_back_by_name() -> None:
    def work(_: object, waveform: Tensor) -> dict[str, Tensor]:
        return {"first": waveform[:, 0], "all": waveform}

    results = list(go(clips([3, 3, 2]), work))
    assert [result.output["all"].tolist() for result in results] == [[0] * 3, [1] * 3, [2] * 2]
    assert results[1].output["first"].item() == 1


def test_a_work_that_returns_too_few_rows_is_an_error() -> None:
    results = list(go(clips([100, 100]), lambda _, waveform: waveform[:0]))
    assert all("ValueError" in str(result.error) for result in results)


def test_no_items_no_results() -> None:
    assert list(go([])) == []


def test_a_broken_list_is_the_callers_error() -> None:
    def items() -> Iterator[Clip]:
        yield Clip(0)
        raise InputError("songs.txt: line 2 names no file; correct it")

    with pytest.raises(InputError, match="line 2"):
        list(go(items()))


def test_gradients_are_off_in_the_work_and_untouched_outside() -> None:
    weight = torch.ones((), requires_grad=True)
    outputs = []
    for result in go(clips([10, 20]), lambda _, waveform: waveform[:, 0] * weight):
        assert torch.is_grad_enabled()
        outputs.append(result.output.requires_grad)
    assert outputs == [False, False]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_leaving_early_ends_the_threads() -> None:
    results = go(clips([1000] * 100), workers=3, batch_seconds=1)
    next(results)
    assert len(threads()) == 3
    results.close()
    assert threads() == []


def test_an_interrupt_passes_through_and_ends_the_threads() -> None:
    def work(_: object, waveform: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(go(clips([1000] * 100), work, workers=2))
    assert threads() == []


@pytest.fixture(scope="module")
def model() -> hear_aesthetics.model.HearModel:
    return hear_aesthetics.load_model("mini", precision="float32", device="cpu")


@dataclass(frozen=True)
class Span:
    path: Path
    start: float | None = None
    end: float | None = None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noises of 1 s and 0.7 s, of several rates and channels."""
    folder = tmp_path_factory.mktemp("noises")
    rng = np.random.default_rng(0)
    for number in range(6):
        rate = (24_000, 44_100, 48_000)[number % 3]
        samples = round((1.0 if number % 2 else 0.7) * rate)
        noise = 0.1 * rng.standard_normal((samples, 1 + number % 2))
        soundfile.write(folder / f"{number}.wav", noise, rate)
    return folder


@pytest.mark.parametrize(
    ("work", "rate"),
    [
        (lambda model, waveform: model.features(waveform), 24_000),
        (lambda model, audio: hear_aesthetics.get_scene_embeddings(audio, model), 48_000),
    ],
)
def test_files_give_what_each_gives_alone(model, folder: Path, work, rate: int) -> None:
    items = [Span(path) for path in sorted(folder.iterdir())] + [Span(folder / "1.wav", 0.25, 0.75)]
    results = list(run(items, model, work, sample_rate=rate))
    for item, result in zip(items, results, strict=True):
        audio = load_audio(item.path, rate, start=item.start, end=item.end)
        alone = work(model, torch.from_numpy(audio)[None])[0]
        assert result.seconds == pytest.approx(len(audio) / rate)
        torch.testing.assert_close(result.output, alone, rtol=1e-5, atol=1e-5)


def test_a_gpu_has_the_next_batch_queued_before_the_loop_waits(monkeypatch) -> None:
    """The order of launches and waits, on a device that only pretends."""
    log = []

    class Event:
        count = 0

        def record(self, _: object) -> None:
            self.number, Event.count = Event.count, Event.count + 1
            log.append(("launched", self.number))

        def synchronize(self) -> None:
            log.append(("waited for", self.number))

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: None)
    monkeypatch.setattr(engine, "_send", lambda batch, _: batch)
    gpu = SimpleNamespace(device=torch.device("cuda"))
    items = clips([100] * 9)
    results = list(run(items, gpu, mean, load=load, sample_rate=RATE, batch_seconds=3))
    assert [result.item for result in results] == items
    assert log == [
        ("launched", 0),
        ("launched", 1),
        ("waited for", 0),
        ("launched", 2),
        ("waited for", 1),
        ("waited for", 2),
    ]


@pytest.mark.parametrize(("cores", "beside_cpu", "beside_gpu"), [(1, 1, 1), (2, 1, 1), (16, 4, 8)])
def test_loading_leaves_the_cores_to_the_encoder(
    monkeypatch, cores: int, beside_cpu: int, beside_gpu: int
) -> None:
    monkeypatch.setattr(engine, "usable_cores", lambda: cores)
    counts = []
    monkeypatch.setattr(engine, "_send", lambda batch, _: batch)
    monkeypatch.setattr(torch.cuda, "Event", MagicMock)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: None)
    for device in ("cpu", "cuda"):
        model = SimpleNamespace(device=torch.device(device))
        results = run(clips([1000] * 300), model, mean, load=load, sample_rate=RATE)
        next(results)
        counts.append(len(threads()))
        results.close()
    assert counts == [beside_cpu, beside_gpu]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_gives_the_same_in_the_same_order(folder: Path) -> None:
    def work(model, waveform: Tensor) -> dict[str, Tensor]:
        return {"features": model.features(waveform)}

    items = [Span(path) for path in sorted(folder.iterdir())] * 3
    on_cpu, on_gpu = (
        list(run(items, model, work, batch_seconds=2))
        for model in (
            hear_aesthetics.load_model("mini", precision="float32", device=device)
            for device in ("cpu", "cuda")
        )
    )
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        assert ours.item == theirs.item
        assert ours.output["features"].device.type == "cpu"
        torch.testing.assert_close(
            ours.output["features"], theirs.output["features"], rtol=1e-3, atol=1e-3
        )


def test_a_file_that_memory_does_not_take_is_no_empty_one():
    def too_large(_):
        raise MemoryError

    (result,) = engine.run(
        clips([1000]), SimpleNamespace(device=torch.device("cpu")), mean, load=too_large
    )
    assert "loading it needs more memory than there is" in str(result.error)


def test_what_is_longer_than_allowed_is_one_error_and_the_others_go_on(tmp_path):
    items = []
    for name, seconds in (("long.wav", 4), ("short.wav", 1)):
        soundfile.write(tmp_path / name, np.zeros(seconds * 24_000), 24_000)
        items.append(SimpleNamespace(path=tmp_path / name, start=None, end=None))
    model = SimpleNamespace(device=torch.device("cpu"))
    long, short = engine.run(items, model, mean, max_minutes=3 / 60)
    assert "more than 0.05 min of audio; take spans of it" in str(long.error)
    assert (short.error, short.seconds) == (None, 1.0)
