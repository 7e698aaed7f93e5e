import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

import hear_aesthetics
from hear_aesthetics import get_scene_embeddings, get_timestamp_embeddings, load_model
from hear_aesthetics.checkpoints.registry import by_name
from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.features.fusion import HiddenState

RATE = 48_000


@pytest.fixture(scope="module")
def mini():
    return load_model()


def noise(batch: int, seconds: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, round(seconds * RATE), generator=generator) * 2 - 1


def test_importing_the_package_does_not_import_torch():
    code = "import hear_aesthetics, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_a_model_does_not_import_the_compiler():
    code = (
        "import hear_aesthetics, sys; hear_aesthetics.load_model();"
        "sys.exit('torch._dynamo' in sys.modules)"  # it takes longer than all the rest
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_attributes_are_attribute_errors():
    with pytest.raises(AttributeError, match="load_modle"):
        hear_aesthetics.load_modle  # noqa: B018


def test_hear_attributes(mini):
    assert mini.sample_rate == 48_000
    assert type(mini.scene_embedding_size) is int
    assert type(mini.timestamp_embedding_size) is int
    assert isinstance(mini, torch.nn.Module)
    assert not mini.training
    assert not any(parameter.requires_grad for parameter in mini.parameters())


@pytest.mark.parametrize("seconds", [0.001, 0.0213, 0.04, 0.5, 1.07, 1.98, 2.74, 31.3])
def test_shapes_dtypes_and_times(mini, seconds):
    audio = noise(2, seconds)
    embeddings, timestamps = get_timestamp_embeddings(audio, mini)
    scene = get_scene_embeddings(audio, mini)
    assert embeddings.shape == (*timestamps.shape, mini.timestamp_embedding_size)
    assert scene.shape == (2, mini.scene_embedding_size)
    assert {embeddings.dtype, timestamps.dtype, scene.dtype} == {torch.float32}
    assert torch.equal(timestamps[0], 40.0 * torch.arange(timestamps.shape[1]))
    end = 1000 * audio.shape[1] / RATE
    assert end - 40 <= timestamps[0, -1] <= end
    assert embeddings.isfinite().all()


def test_times_do_not_drift(mini):
    _, timestamps = get_timestamp_embeddings(noise(1, 130.02), mini)
    assert timestamps[0, -1] == 130_000


def distance_to_click(model, quiet: torch.Tensor, at: int) -> float:
    """Milliseconds between a click added at sample ``at`` and the frame that it changes most."""
    before, timestamps = get_timestamp_embeddings(quiet, model)
    clicked = quiet.clone()
    clicked[0, at] += 0.9
    after, _ = get_timestamp_embeddings(clicked, model)
    frame = (after - before).norm(dim=-1)[0].argmax()
    return abs(timestamps[0, frame].item() - 1000 * at / RATE)


@pytest.mark.slow
def test_a_click_changes_most_the_frame_at_its_time(mini):
    places = torch.randint(0, 5 * RATE, (20,), generator=torch.Generator().manual_seed(1))
    quiet = noise(1, 5) * 0.01
    assert max(distance_to_click(mini, quiet, at) for at in places.tolist()) <= 40


@pytest.mark.slow
def test_a_click_near_minute_19_changes_the_frame_at_its_time():
    one_source = load_model(sources=["muq"])  # half the time of two
    at = round(19.0123 * 60 * RATE)
    assert distance_to_click(one_source, noise(1, 20 * 60) * 0.01, at) <= 40


def test_a_batch_equals_its_items_and_runs_repeat(mini):
    audio = noise(8, 3)
    batch = get_timestamp_embeddings(audio, mini)[0]
    alone = torch.cat([get_timestamp_embeddings(item[None], mini)[0] for item in audio])
    torch.testing.assert_close(batch, alone, rtol=0, atol=1e-5)
    assert torch.equal(batch, get_timestamp_embeddings(audio, mini)[0])


def test_rows_beyond_one_pass_change_nothing(mini, monkeypatch):
    audio = noise(4, 1)
    whole = get_scene_embeddings(audio, mini)
    monkeypatch.setattr("hear_aesthetics.model.SECONDS_PER_PASS", 2)
    torch.testing.assert_close(get_scene_embeddings(audio, mini), whole, rtol=0, atol=1e-5)


def test_silence_stays_finite(mini):
    assert get_scene_embeddings(torch.zeros(1, RATE), mini).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_float_types_are_converted(mini, dtype):
    audio = noise(1, 1).to(dtype)
    expected = get_scene_embeddings(audio.float(), mini)
    torch.testing.assert_close(get_scene_embeddings(audio, mini), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("audio", "error", "message"),
    [
        (torch.zeros(100), ValueError, "shape"),
        (torch.zeros(1, 1, 100), ValueError, "shape"),
        (torch.zeros(1, 100, dtype=torch.int16), ValueError, "int16"),
        (torch.zeros(1, 0), ValueError, "empty"),
        ([0.0], TypeError, "torch tensor"),
    ],
)
def test_audio_that_does_not_fit_is_refused_in_words(mini, audio, error, message):
    with pytest.raises(error, match=message):
        get_scene_embeddings(audio, mini)


def test_no_gradients_are_kept(mini):
    audio = noise(1, 1).requires_grad_()
    assert not get_scene_embeddings(audio, mini).requires_grad
    assert not get_timestamp_embeddings(audio, mini)[0].requires_grad


def test_options_change_sizes_and_values(mini):
    audio = noise(1, 2)
    stats = load_model(pooling="mean+std", layer=[3, 4])  # others: not standardized
    assert stats.scene_embedding_size == 2 * mini.timestamp_embedding_size
    frames = get_timestamp_embeddings(audio, stats)[0]
    scene = get_scene_embeddings(audio, stats)
    torch.testing.assert_close(scene[:, : frames.shape[-1]], frames.mean(1))
    torch.testing.assert_close(scene[:, frames.shape[-1] :], frames.std(1, correction=0))
    muq = load_model(sources=["muq"], views=["track"], layer=2, precision="bfloat16")
    assert muq.scene_embedding_size * 8 == mini.scene_embedding_size
    assert muq.precision == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "huge"}, "mini, mini-0.1, mini-0.2, large"),
        ({"sources": ("clap",)}, "'musicfm' or 'muq'"),
        ({"sources": ()}, "'musicfm' or 'muq'"),
        ({"sources": "muq"}, "'musicfm' or 'muq'"),
        ({"views": ("bar",)}, "'segment' or 'track'"),
        ({"scales": ("track",)}, r"scales is named views now: write views=\('track',\)"),
        ({"pooling": "max"}, r"'mean' or 'mean\+std'"),
        ({"precision": "half"}, "'auto' or 'float32' or 'bfloat16'"),
        ({"segment_seconds": 0}, "whole number"),
        ({"layer": "six"}, "layer is 'six'; it takes a whole number"),
        ({"layer": 99}, "there are 0 to 6"),
        ({"layer": [2, 99]}, "there are 0 to 6"),
        ({"layer": [2, 2]}, r"layer is \[2, 2\]; it takes a whole number or a list"),
        ({"layer": []}, "layer is"),
    ],
)
def test_wrong_options_list_the_right_ones(options, message):
    with pytest.raises(ValueError, match=message):
        load_model(**options)


def test_the_path_wins_over_the_variant(tiny_model_directory):
    model = load_model(str(tiny_model_directory), variant="mini")
    assert model.name == "tiny"
    assert model.timestamp_embedding_size == 4 * 32


@pytest.mark.parity
@pytest.mark.parametrize("name", ["short", "medium", "long", "tail"])
def test_features_follow_the_published_rules(name, golden, golden_audio, tiny_model_directory):
    model = load_model(str(tiny_model_directory), precision="float32")
    expected = load_file(golden / "fused_features" / f"{name}.safetensors")["features"]
    features = model.features(golden_audio[name])
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


def test_provenance_says_what_made_the_numbers(mini):
    provenance = mini.provenance()
    assert provenance["model"] == "mini"
    assert provenance["status"] == "trained on rendered audio"
    assert provenance["precision"] == "float32"
    assert provenance["version"] == hear_aesthetics.__version__
    assert all(len(digest) == 64 for digest in provenance["weights_sha256"].values())
    json.dumps(provenance)


def test_a_model_directory_states_layer_and_pooling(tiny_model_directory, tmp_path):
    directory = shutil.copytree(tiny_model_directory, tmp_path / "mine")
    (directory / "hear_aesthetics.json").write_text('{"layer": 3, "pooling": "mean+std"}')
    model = load_model(str(directory))
    assert model.fused.layer == 3
    assert model.scene_embedding_size == 2 * model.timestamp_embedding_size
    assert load_model(str(directory), layer=0).fused.layer == 0


def test_two_states_are_joined_in_every_view_of_every_encoder(tiny_model_directory, tmp_path):
    directory = shutil.copytree(tiny_model_directory, tmp_path / "mine")
    (directory / "hear_aesthetics.json").write_text('{"layer": [3, 1]}')
    both = load_model(str(directory))
    waveform = noise(2, 31)[:, : 31 * 24_000]
    alone = [load_model(str(directory), layer=k).features(waveform).chunk(4, -1) for k in (3, 1)]
    joined = torch.cat([part for parts in zip(*alone, strict=True) for part in parts], dim=-1)
    torch.testing.assert_close(both.features(waveform), joined, rtol=0, atol=1e-6)
    assert both.timestamp_embedding_size == joined.shape[-1] == 8 * both.encoder_dim("muq")
    assert both.provenance()["layer"] == [3, 1]
    embeddings, _ = get_timestamp_embeddings(noise(1, 1), both)
    assert embeddings.shape[-1] == both.timestamp_embedding_size


def test_a_delay_is_silence_before_the_audio_and_not_in_features(tiny_model_directory, tmp_path):
    directory = shutil.copytree(tiny_model_directory, tmp_path / "mine")
    (directory / "hear_aesthetics.json").write_text('{"delay_ms": 20}')
    delayed, plain = load_model(str(directory)), load_model(str(tiny_model_directory))
    audio = noise(1, 1)
    late = torch.cat([torch.zeros(1, 20 * 24), plain.decimate(audio)], dim=1)
    frames = get_timestamp_embeddings(audio, delayed)[0]
    torch.testing.assert_close(frames, plain.features(late)[:, :25], rtol=0, atol=1e-6)
    torch.testing.assert_close(delayed.features(late), plain.features(late), rtol=0, atol=1e-6)
    assert delayed.provenance()["delay_ms"] == 20


@pytest.mark.parametrize(
    "content", ['{"layers": 3}', "[", "[1]", pytest.param("[" * 100_000, id="deep"), "null"]
)
def test_a_wrong_model_configuration_names_the_file(tiny_model_directory, tmp_path, content):
    directory = shutil.copytree(tiny_model_directory, tmp_path / "mine")
    (directory / "hear_aesthetics.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"hear_aesthetics\.json: .*layer, pooling"):
        load_model(str(directory))


@pytest.mark.parametrize(
    "content",
    [
        {"layer": "10"},
        {"layer": True},
        {"layer": []},
        {"layer": [1, 2.0]},
        {"layer": [3, 3]},
        {"delay_ms": None},
        {"delay_ms": 2.5},
        {"delay_ms": -1},
        {"pooling": ["mean"]},
        {"provenance": []},
        {"standardizer": 3},
    ],
)
def test_a_wrong_value_of_the_configuration_names_file_and_key(
    tiny_model_directory, tmp_path, content
):
    directory = shutil.copytree(tiny_model_directory, tmp_path / "mine")
    (directory / "hear_aesthetics.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=rf"hear_aesthetics\.json: {next(iter(content))} is"):
        load_model(str(directory))


@pytest.mark.parametrize("key", ["standardizer", "centring"])
@pytest.mark.parametrize("name", ["none.safetensors", "no/such", "a\0b", ".", "muq"])
def test_constants_that_are_not_there_are_named_by_old_key_and_new(
    tiny_model_directory, tmp_path, key, name
):
    directory = shutil.copytree(tiny_model_directory, tmp_path / "mine")
    (directory / "hear_aesthetics.json").write_text(json.dumps({key: name}))
    with pytest.raises(CheckpointError, match="/mine"):
        load_model(str(directory))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_models_numbers_do_not_depend_on_the_default_dtype(mini, dtype):
    audio = noise(1, 1)
    expected = get_scene_embeddings(audio, mini)
    torch.set_default_dtype(dtype)
    try:
        found = get_scene_embeddings(audio, load_model())
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_autocast_of_the_caller_changes_nothing(mini):
    audio = noise(1, 1)
    waveform = mini.decimate(audio)
    muq = mini.fused.encoders["muq"]

    def numbers():
        yield get_scene_embeddings(audio, mini)
        yield get_timestamp_embeddings(audio, mini)[0]
        yield mini.features(waveform)
        yield muq.hidden_states(waveform, (2,))[2]

    expected = list(numbers())
    with torch.autocast("cpu", torch.bfloat16):
        found = list(numbers())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_calling_a_model_gives_scene_embeddings(mini):
    audio = noise(2, 1)
    torch.testing.assert_close(mini(audio), get_scene_embeddings(audio, mini), rtol=0, atol=1e-6)


@pytest.mark.slow  # importing the compiler takes seconds
def test_a_compiled_model_is_the_model_itself(mini):
    def compile_nothing(graph, inputs):
        raise AssertionError(f"compiled {graph}")

    audio = noise(1, 1)
    compiled = torch.compile(mini, backend=compile_nothing)
    torch.testing.assert_close(compiled(audio), mini(audio), rtol=0, atol=1e-6)
    scene = get_scene_embeddings(audio, compiled)
    torch.testing.assert_close(scene, mini(audio), rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_number_formats_belong_to_precision(precision):
    model = load_model(sources=["muq"], precision=precision)
    for change in (
        model.half,
        model.double,
        model.bfloat16,
        lambda: model.to(torch.bfloat16),
        lambda: model.to("cpu", torch.float64),
    ):
        with pytest.raises(
            ValueError, match=r"load_model\(precision=\.\.\.\), one of auto, float32"
        ):
            change()
    assert model.to("cpu").cpu() is model
    assert get_scene_embeddings(noise(1, 1), model).isfinite().all()


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "meta"])
def test_a_device_that_is_not_there_is_told_with_those_that_are(device):
    with pytest.raises(ValueError, match=rf"'{device}' is not on this machine; it has cpu"):
        load_model(device=device)


def test_further_states_are_kept_on_request(tiny_model_directory, golden_audio):
    model = load_model(str(tiny_model_directory), states=[HiddenState("muq", 12)])
    features = model.extract(golden_audio["short"], [HiddenState("muq", 6), HiddenState("muq", 12)])
    assert set(map(str, features.states)) == {"muq_06", "muq_12"}
    with pytest.raises(ValueError, match="there are 0 to 10"):
        load_model(str(tiny_model_directory)).extract(
            golden_audio["short"], [HiddenState("muq", 12)]
        )
    with pytest.raises(ValueError, match="muq_12 asked for; the encoders are musicfm"):
        load_model(sources=["musicfm"]).extract(golden_audio["short"], [HiddenState("muq", 12)])


def test_mini_is_small_and_says_what_it_learned_from(mini):
    folder = mini.files.config.parent
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 12e6
    assert mini.config.status == by_name("mini").status == "trained on rendered audio"
    assert mini.config.provenance.keys() == {"musicfm", "muq"}
    assert mini.config.licence == "Apache-2.0"
