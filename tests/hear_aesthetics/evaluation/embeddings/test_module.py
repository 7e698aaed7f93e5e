"""Every way a module can break the contract is one message that names what was broken."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hear_aesthetics.errors import InputError, ModuleError
from hear_aesthetics.evaluation.embeddings.module import HearModule, parse_options

SCENE, TIMES = "get_scene_embeddings", "get_timestamp_embeddings"
FILES = ("one.wav", "two.wav")
AUDIO = np.zeros((2, 3200), dtype=np.float32)


def test_a_good_module_gives_float32_of_the_sizes_it_declares(make_module):
    module = HearModule(make_module())
    assert module.sample_rate == 16_000
    assert module.scenes(AUDIO, FILES).shape == (2, 3)
    values, times = module.timestamps(AUDIO, FILES)
    assert (values.shape, times.shape) == ((2, 6, 3), (2, 6))
    assert values.dtype == times.dtype == np.float32


def test_options_and_model_reach_load_model(make_module):
    loud = HearModule(make_module(), "", {"scale": 2.0})
    plain = HearModule(make_module())
    audio = np.random.default_rng(0).normal(size=AUDIO.shape).astype(np.float32)
    np.testing.assert_allclose(loud.scenes(audio, FILES), 2 * plain.scenes(audio, FILES), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (None, {}, "{}"),
        (None, {"sample_rate": 44100}, "{}-sample-rate=44100"),
        (None, {"pooling": "mean+std"}, "{}-pooling=mean-std"),
        ("large", {}, "{}-model=large"),
    ],
)
def test_folders_are_named_as_heareval_names_them(make_module, name, options, expected):
    signature = "def load_model(model_file_path='', **options): return Levels()"
    module = make_module(signature)
    assert HearModule(module, name, options).folder_name == expected.format(module)


def answer(function, source):
    """Source that makes a function of the module return something else."""
    return f"def {function}(audio, model):\n    b, n = audio.shape\n    {source}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return torch.full((b, 3), float('nan'))", r"NaN or infinity for one\.wav"),
        (
            "x = torch.zeros(b, 3); x[1, 2] = float('inf'); return x",
            r"NaN or infinity for two\.wav",
        ),
        ("return torch.zeros(b, 4)", r"shape \(2, 4\); expected \(2, 3\)"),
        ("return torch.zeros(b + 1, 3)", r"shape \(3, 3\); expected \(2, 3\)"),
        ("return torch.zeros(b, 1, 3)", r"shape \(2, 1, 3\); expected \(2, 3\)"),
        ("return torch.zeros(b, 3, dtype=torch.float64)", r"float64 embeddings; expected float32"),
        ("return torch.zeros(b, 3, dtype=torch.bfloat16)", r"bfloat16; expected float32"),
        ("return [[0.0] * 3] * b", r"returned a list; expected a torch\.Tensor"),
        ("return None", r"returned a NoneType"),
        (
            "raise RuntimeError('no memory')",
            r"failed on one\.wav and 1 others: RuntimeError: no me",
        ),
    ],
)
def test_a_broken_scene_is_named(make_module, source, message):
    module = HearModule(make_module(answer(SCENE, source)))
    with pytest.raises(ModuleError, match=rf"get_scene_embeddings .*{message}") as error:
        module.scenes(AUDIO, FILES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return torch.zeros(b, 6, 3)", r"a pair of embeddings and timestamps"),
        (
            "return torch.zeros(b, 6, 4), torch.zeros(b, 6)",
            r"\(2, 6, 4\); .* \(2, frames, 3\)",
        ),
        ("return torch.zeros(b, 3), torch.zeros(b, 6)", r"shape \(2, 3\)"),
        ("return torch.zeros(b, 6, 3), torch.zeros(b, 5)", r"\(2, 5\) for embeddings of 6 frames"),
        ("return torch.zeros(b, 6, 3), torch.zeros(b, 6)", r"timestamps that do not rise"),
        (
            "return torch.zeros(b, 6, 3), torch.arange(6.).expand(b, 6) / 30",
            r"too few timestamps for one\.wav .* 0\.16\d* of 200 ms; milliseconds are expected",
        ),
        (
            "return torch.zeros(b, 6, 3), 16 * 40 * torch.arange(6.).expand(b, 6)",
            r"timestamps from 0 to 3200 for .* 200 ms; milliseconds are expected",
        ),
        (
            "return torch.zeros(b, 6, 3), 1000 * 40 * torch.arange(6.).expand(b, 6)",
            r"timestamps from 0 to 200000 for .* 200 ms; milliseconds are expected",
        ),
        (
            "return torch.zeros(b, 3, 3), 20 * torch.arange(3.).expand(b, 3)",
            r"too few timestamps .* from 0 to 40 of 200 ms; none lies between 40 and 200 ms",
        ),
        (
            "return torch.zeros(b, 3, 3), 160 + 20 * torch.arange(3.).expand(b, 3)",
            r"too few timestamps .* from 160 to 200 of 200 ms; none lies between 0 and 160 ms",
        ),
        (
            "return torch.zeros(b, 1, 3), torch.zeros(b, 1)",
            r"too few timestamps .* from 0 to 0 of 200 ms",
        ),
        ("return torch.zeros(b, 0, 3), torch.zeros(b, 0)", r"embeddings of shape \(2, 0, 3\)"),
    ],
)
def test_broken_timestamps_are_named(make_module, source, message):
    module = HearModule(make_module(answer(TIMES, source)))
    with pytest.raises(ModuleError, match=rf"get_timestamp_embeddings .*{message}"):
        module.timestamps(AUDIO, FILES)


def test_whole_milliseconds_are_timestamps_too(make_module):
    times = "return torch.zeros(b, 5, 3), 40 * torch.arange(5).expand(b, 5)"
    _, found = HearModule(make_module(answer(TIMES, times))).timestamps(AUDIO, FILES)
    assert np.issubdtype(found.dtype, np.floating), "labels are looked up between the timestamps"
    assert found[0].tolist() == [0, 40, 80, 120, 160]


def test_a_wide_spacing_is_a_warning(make_module, caplog):
    times = "return torch.zeros(b, 3, 3), 75.0 * torch.arange(3).expand(b, 3)"
    HearModule(make_module(answer(TIMES, times))).timestamps(AUDIO, FILES)
    assert "every 75 ms; HEAR recommends at most 50" in caplog.text


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ("del get_scene_embeddings", ModuleError, "has no function get_scene_embeddings"),
        ("def load_model(path=''): return 3", ModuleError, r"returned a int; .*torch\.nn\.Module"),
        ("Levels.sample_rate = 24000", ModuleError, "sample_rate is 24000; .*16000, 22050"),
        ("Levels.scene_embedding_size = 3.0", ModuleError, "3.0 .float.; expected a Python int"),
        ("del Levels.timestamp_embedding_size", ModuleError, "timestamp_embedding_size is None"),
        (
            "def load_model(): raise OSError('gone')",
            ModuleError,
            "load_model failed: OSError: gone",
        ),
        ("def load_model(): raise ValueError('no')", InputError, "load_model refused .*: no"),
        (
            "import sys\ndef load_model(): sys.exit('no weights')",
            ModuleError,
            "load_model.*no weights",
        ),
        ("import sys; sys.exit(2)", ModuleError, "importing .* failed: .*sys.exit.2."),
        ("import nowhere_to_be_found", ModuleError, "cannot import .*nowhere_to_be_found"),
        ("1 / 0", ModuleError, "importing .* failed: ZeroDivisionError"),
    ],
)
def test_a_module_that_does_not_load_is_refused(make_module, changes, error, message):
    with pytest.raises(error, match=message):
        HearModule(make_module(changes))


def test_an_unknown_option_is_wrong_usage(make_module):
    with pytest.raises(InputError, match=r'options {"colour": 1}: .*unexpected keyword'):
        HearModule(make_module(), None, {"colour": 1})


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ModuleError, match=r"cannot import no_such_module .*PYTHONPATH"):
        HearModule("no_such_module")


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_options_that_are_no_object_are_refused(text):
    with pytest.raises(InputError, match="--model-options"):
        parse_options(text)


def test_a_models_own_provenance_is_recorded(make_module):
    changes = "Levels.provenance = lambda self: {'weights': ('abc', 1)}"
    assert HearModule(make_module(changes)).provenance["provenance"] == {"weights": ["abc", 1]}
    assert HearModule(make_module()).provenance["provenance"] is None


def test_the_end_of_a_long_clip_needs_timestamps_too(make_module):
    times = "return torch.zeros(b, 161, 3), 50.0 * torch.arange(161).expand(b, 161)"
    module = HearModule(make_module(answer(TIMES, times)))
    ten_seconds = np.zeros((2, 160_000), dtype=np.float32)
    with pytest.raises(ModuleError, match="none lies between 8000 and 10000 ms"):
        module.timestamps(ten_seconds, FILES)
    nine_seconds = ten_seconds[:, :144_000]
    assert module.timestamps(nine_seconds, FILES)[1].max() == 8000


def test_what_a_module_prints_is_not_our_output(make_module, capsys):
    changes = "print('imported')\nload = load_model\ndef load_model(*args):\n    print('loaded')\n"
    changes += "    return load(*args)\n" + answer(
        SCENE, "print('called'); return torch.zeros(b, 3)"
    )
    HearModule(make_module(changes)).scenes(AUDIO, FILES)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.split() == ["imported", "loaded", "called"]


def test_a_module_s_default_type_is_not_ours(make_module):
    HearModule(make_module("torch.set_default_dtype(torch.float64)"))
    assert torch.get_default_dtype() == torch.float32


def test_a_module_s_working_directory_is_not_ours(make_module):
    here = Path.cwd()
    change = "import os\ndef load_model(): os.chdir('/'); return Levels()"
    HearModule(make_module(change))
    assert Path.cwd() == here


def test_the_fingerprint_is_of_the_files_not_of_their_place(make_module, tmp_path):
    name = make_module()
    places = [tmp_path / place for place in ("a", "b")]
    for place in places:
        (place / "model/parts").mkdir(parents=True)
        (place / "model/parts/weights.bin").write_bytes(b"1234")
    first, second = (
        HearModule(name, str(place / "model")).fingerprint("scene") for place in places
    )
    assert first == second
    (places[1] / "model/parts/weights.bin").write_bytes(b"1235")
    assert HearModule(name, str(places[1] / "model")).fingerprint("scene") != first


def test_a_model_says_itself_what_decides_its_embeddings(make_module):
    changes = "Levels.fingerprint = lambda self, kind: {'weights': ('abc', kind)}"
    module = HearModule(make_module(changes))
    assert module.fingerprint("scene")["model"] == {"weights": ["abc", "scene"]}
