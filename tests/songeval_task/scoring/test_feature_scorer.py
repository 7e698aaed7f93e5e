"""Features in files to scores: as from audio, without encoders, one line where one does not fit."""

import numpy as np
import pytest
import torch

from hear_aesthetics.engine.inputs import collect_inputs
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import HiddenState
from songeval_task import AestheticScorer
from songeval_task.scoring.feature_scorer import FeatureScorer
from songeval_task.scoring.run import ScoreOptions, score_inputs
from songeval_task.scoring.scorer import AudioSpan


@pytest.fixture(scope="module")
def scorer(tiny_model_directory, published_heads) -> AestheticScorer:
    """The fixtures' encoders with heads on the fused feature."""
    return AestheticScorer.from_pretrained(
        *published_heads[:2], model=tiny_model_directory, precision="float32"
    )


@pytest.fixture(scope="module")
def heads(published_heads) -> FeatureScorer:
    return FeatureScorer.from_pretrained(*published_heads[:2])


@pytest.fixture
def array(scorer, golden_audio, tmp_path):
    """The features of a song, as the released extraction writes them."""
    path = tmp_path / "medium.npy"
    np.save(path, scorer.model.features(golden_audio["medium"]).numpy())
    return path


@pytest.mark.parametrize("options", [{}, {"timeline": True, "explain": True}])
def test_features_score_as_their_audio_does(scorer, heads, golden, array, options) -> None:
    expected = scorer.score(golden / "audio" / "medium.wav", **options)
    (result,) = heads.score_features([AudioSpan(array)], **options)
    found = result.output
    assert found.values == pytest.approx(expected.values, abs=1e-5)
    assert found.means == pytest.approx(expected.means, abs=1e-5)
    assert found.duration == np.load(array).shape[1] / 25 == result.seconds
    assert (found.model, found.loudness_lufs, found.path) == (None, None, str(array))
    assert found.warnings == ()  # nothing was heard
    for name in ("timeline", "explain"):
        if options:
            for ours, theirs in zip(getattr(found, name), getattr(expected, name), strict=True):
                assert ours.keys() == theirs.keys()
                assert ours["Musicality"] == pytest.approx(theirs["Musicality"], abs=1e-5)


def test_a_head_of_a_hidden_state_takes_the_array_as_that_state(
    published_heads, tiny_model_directory, golden, golden_audio, tmp_path
) -> None:
    songeval = published_heads[2]
    whole = AestheticScorer.from_pretrained(
        songeval, model=tiny_model_directory, precision="float32"
    )
    state = HiddenState.parse("muq_06")
    states = whole.model.extract(golden_audio["short"], (state,)).states[state]
    np.save(tmp_path / "short.npy", states.numpy())
    np.save(tmp_path / "flat.npy", states.numpy()[0])  # as SongEval's own script takes it too
    expected = whole.score(golden / "audio" / "short.wav").values
    clips = [AudioSpan(tmp_path / name) for name in ("short.npy", "flat.npy")]
    for result in FeatureScorer.from_pretrained(songeval).score_features(clips):
        assert result.output.values == pytest.approx(expected, abs=1e-5)


def broken(array) -> dict[str, np.ndarray]:
    whole = np.load(array)
    nan = whole.copy()
    nan[0, 3, 1] = np.nan
    return {
        "wide": np.concatenate([whole, whole], axis=2),
        "short": whole[:, :2],
        "nan": nan,
        "half": whole.astype("float16"),
        "two": np.concatenate([whole, whole]),
    }


def test_what_does_not_fit_is_one_line_and_the_rest_goes_on(heads, array) -> None:
    for name, content in broken(array).items():
        np.save(array.with_name(f"{name}.npy"), content)
    array.with_name("text.npy").write_text("no array")
    found = collect_inputs([str(array.parent)], features=True)
    rows = {
        row["path"].rpartition("/")[2]: row for row in score_inputs(heads, found, ScoreOptions())
    }
    assert rows["medium.npy"]["status"] == "ok"
    errors = {name: row["error"] for name, row in rows.items() if row["status"] == "error"}
    width = np.load(array).shape[2]
    assert (
        f"wide.npy: features {2 * width} wide, head track1.model takes fused {width} wide"
        in (errors["wide.npy"])
    )
    assert "short.npy: 2 frames, a score needs 3" in errors["short.npy"]
    assert "holds what is not a number" in errors["nan.npy"]
    assert "float16" in errors["half.npy"]
    assert "expected float32 (1, frames, dim)" in errors["two.npy"]
    assert "no array can be read" in errors["text.npy"]
    assert len(errors) == 6


def test_spans_of_features_are_refused(heads, array) -> None:
    (result,) = heads.score_features([AudioSpan(array, start=1.0)])
    assert "features are scored whole" in str(result.error)


def test_audio_and_features_keep_their_order_and_their_model(scorer, golden, array) -> None:
    wav = golden / "audio" / "medium.wav"
    found = collect_inputs([str(array), str(wav)], features=True)
    first, second = score_inputs(scorer, found, ScoreOptions())
    assert [row["path"] for row in (first, second)] == [str(array), str(wav)]
    assert (first["model"], second["model"]) == (None, scorer.model.name)
    assert (first["loudness_lufs"], first["duration"]) == (None, np.load(array).shape[1] / 25)
    assert first["Musicality"] == pytest.approx(second["Musicality"], abs=1e-5)


def test_heads_that_read_different_features_are_refused(published_heads, array) -> None:
    both = FeatureScorer.from_pretrained(*published_heads[1:])
    with pytest.raises(InputError, match=r"read fused, muq_06, a \.npy file holds one of them"):
        next(score_inputs(both, collect_inputs([str(array)], features=True), ScoreOptions()))


def test_heads_alone_refuse_audio(heads, golden) -> None:
    found = collect_inputs([str(golden / "audio" / "short.wav")])
    with pytest.raises(InputError, match="audio needs an AestheticScorer"):
        next(score_inputs(heads, found, ScoreOptions()))


@pytest.mark.gpu
def test_heads_work_on_a_gpu(published_heads, array) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    scorer = FeatureScorer.from_pretrained(*published_heads[:2], device="cuda")
    (result,) = scorer.score_features([AudioSpan(array)])
    (expected,) = FeatureScorer.from_pretrained(*published_heads[:2], device="cpu").score_features(
        [AudioSpan(array)]
    )
    assert result.output.values == pytest.approx(expected.output.values, abs=1e-4)
