"""Checkpoints: strict loading of published and own layouts, saving, and the errors between."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from heads import AestheticHead, SequenceHead, SongEvalBaselineHead


@pytest.fixture
def saved(tiny_head, tmp_path):
    """A saved head: the folder and the head."""
    provenance = {"license": "CC0-1.0", "data": "synthetic | seeded", "seed": 1}
    return tiny_head.save_pretrained(tmp_path / "head", provenance=provenance), tiny_head


@pytest.fixture
def published(golden):
    """The published tensors of track 2."""
    return load_file(golden / "hear_head" / "track2.model.safetensors")


FEATURES = torch.linspace(-1, 1, 12 * 24).reshape(1, 12, 24)


def assert_same(ours, head, features=FEATURES):
    """The same tensors, bit for bit, in memory of another alignment: the scores up to rounding."""
    expected = head.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(ours(features), head(features), rtol=0, atol=1e-6)


class TestSaving:
    def test_a_saved_head_comes_back_the_same(self, saved):
        folder, head = saved
        for source in (folder, str(folder), folder / "model.safetensors"):
            loaded = AestheticHead.from_pretrained(source)
            assert loaded.config == head.config
            assert loaded.provenance["seed"] == 1
            assert not loaded.training
            assert_same(loaded, head)

    def test_the_weights_file_alone_is_enough(self, saved, tmp_path):
        folder, head = saved
        alone = (folder / "model.safetensors").rename(tmp_path / "alone.safetensors")
        assert_same(AestheticHead.from_pretrained(alone), head)

    def test_folder_holds_config_weights_and_card_and_nothing_else(self, saved):
        folder, head = saved
        assert sorted(path.name for path in folder.iterdir()) == [
            "README.md",
            "config.json",
            "model.safetensors",
        ]
        description = json.loads((folder / "config.json").read_text())
        assert description["head"] == "AestheticHead"
        assert description["config"]["dimensions"] == list(head.config.dimensions)
        card = (folder / "README.md").read_text()
        assert "license: CC0-1.0" in card
        assert "| 4 | Naturalness |" in card
        assert "synthetic \\| seeded" in card

    def test_saving_again_replaces_the_head(self, saved):
        folder, head = saved
        with torch.no_grad():
            head.output.bias += 1
        head.save_pretrained(folder)
        assert_same(AestheticHead.from_pretrained(folder), head)

    def test_loaded_heads_can_be_trained_on(self, saved):
        folder, _ = saved
        head = AestheticHead.from_pretrained(folder)
        head(torch.randn(1, 9, 24)).sum().backward()
        assert head.output.weight.grad is not None


class TestPublishedLayout:
    def test_pth_and_safetensors_give_the_same_head(self, published, golden, tmp_path):
        torch.save(published, tmp_path / "track_2.pth")
        features = load_file(golden / "hear_head" / "features.safetensors")["T50"]
        heads = [
            AestheticHead.from_pretrained(source, **options)
            for source, options in [
                (golden / "hear_head" / "track2.model.safetensors", {}),
                (tmp_path / "track_2.pth", {}),
                (tmp_path, {"filename": "track_2.pth"}),
            ]
        ]
        for other in heads[1:]:
            assert_same(other, heads[0], features)

    def test_translation_goes_both_ways(self, published, golden):
        head = AestheticHead.from_pretrained(golden / "hear_head" / "track2.model.safetensors")
        back = head.published_state_dict()
        assert back.keys() == published.keys()
        assert all(torch.equal(back[name], published[name]) for name in published)

    def test_dimension_names_can_be_given(self, golden):
        path = golden / "hear_head" / "track1.model.safetensors"
        assert AestheticHead.from_pretrained(path).config.dimensions == ("Musicality",)
        renamed = AestheticHead.from_pretrained(path, dimensions=["Groove"], high=9)
        assert renamed.config.dimensions == ("Groove",)
        assert renamed.config.high == 9

    def test_loading_leaves_the_random_generator_alone(self, golden):
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        AestheticHead.from_pretrained(golden / "hear_head" / "track1.model.safetensors")
        assert torch.equal(torch.rand(1), expected)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.pop("model.ln_ffd.bias"), r"missing: model\.ln_ffd\.bias"),
            (lambda t: t.pop("model.fc.weight"), r"missing model\.fc\.weight, which sets its size"),
            (lambda t: t.update(extra=torch.zeros(1)), "unexpected: extra"),
            (
                lambda t: t.update({"model.fc.bias": torch.zeros(3)}),
                r"wrong shape: model\.fc\.bias \(3,\) instead of \(5,\)",
            ),
        ],
    )
    def test_what_differs_is_listed_in_one_line(self, published, tmp_path, change, message):
        change(published)
        save_file(published, tmp_path / "changed.safetensors")
        with pytest.raises(ValueError, match=message) as error:
            AestheticHead.from_pretrained(tmp_path / "changed.safetensors")
        assert "changed.safetensors" in str(error.value)
        assert "\n" not in str(error.value)

    def test_long_lists_of_differences_are_cut(self, published, tmp_path):
        attention = [name for name in published if name.startswith("model.attn.0")]
        pooling = [name for name in published if "n_query.1." in name and "att_0" in name]
        for name in attention + pooling:
            del published[name]
        save_file(published, tmp_path / "cut.safetensors")
        with pytest.raises(ValueError, match=r"and \d+ more"):
            AestheticHead.from_pretrained(tmp_path / "cut.safetensors")


class _Payload:
    def __reduce__(self):
        return (print, ("a pickle ran code",))


class TestErrors:
    def test_pickles_that_would_run_code_are_refused(self, tmp_path, capsys):
        path = tmp_path / "evil.pth"
        torch.save({"weights": _Payload()}, path)
        with pytest.raises(ValueError, match=r"evil\.pth: not a readable PyTorch checkpoint"):
            AestheticHead.from_pretrained(path)
        assert "ran code" not in capsys.readouterr().out

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_broken_files_are_named(self, tmp_path, suffix):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"<html>not found</html>")
        with pytest.raises(ValueError, match=r"broken\..*get the file again"):
            AestheticHead.from_pretrained(path)

    def test_numbers_that_are_not_finite_are_refused(self, saved):
        file = saved[0] / "model.safetensors"
        with safe_open(file, "pt") as old:
            metadata = old.metadata()
        tensors = load_file(file)
        name = next(iter(tensors))
        tensors[name].view(-1)[-1] = torch.nan
        save_file(tensors, file, metadata=metadata)
        with pytest.raises(ValueError, match=f"{name} holds numbers that are not finite"):
            AestheticHead.from_pretrained(saved[0])

    def test_only_plain_state_dicts_are_read(self, tmp_path):
        path = tmp_path / "wrapped.pth"
        torch.save({"epoch": 3, "model": {}}, path)
        with pytest.raises(ValueError, match="expected a plain state dict"):
            AestheticHead.from_pretrained(path)

    def test_a_missing_path_is_not_looked_up_on_the_hub(self, tmp_path):
        with pytest.raises(ValueError, match="no such file or folder"):
            AestheticHead.from_pretrained(tmp_path / "nowhere.pth")

    def test_a_folder_without_the_file_lists_what_it_has(self, saved):
        folder, _ = saved
        with pytest.raises(ValueError, match=r"no track_1\.pth here.*\['model\.safetensors'\]"):
            AestheticHead.from_pretrained(folder, filename="track_1.pth")

    def test_offline_says_what_to_do(self, monkeypatch):
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError

        def offline(*_args, **_kwargs):
            raise LocalEntryNotFoundError("no connection\nand a long explanation")

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
        with pytest.raises(ValueError, match=r"cannot get track_2\.pth") as error:
            AestheticHead.from_pretrained("earlab/EAR_HEAR", filename="track_2.pth")
        assert "HF_ENDPOINT" in str(error.value)
        assert "\n" not in str(error.value)

    def test_hub_files_are_fetched_at_the_revision(self, monkeypatch, golden):
        import huggingface_hub

        asked = []

        def download(repository, filename, revision=None):
            asked.append((repository, filename, revision))
            return str(golden / "hear_head" / "track1.model.safetensors")

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
        head = AestheticHead.from_pretrained("owner/name", filename="a.pth", revision="abc")
        assert asked == [("owner/name", "a.pth", "abc")]
        assert head.provenance["revision"] == "abc"

    def test_another_kind_of_head_is_named(self, saved):
        folder, _ = saved
        with pytest.raises(ValueError, match="holds AestheticHead, not SongEvalBaselineHead"):
            SongEvalBaselineHead.from_pretrained(folder)

    def test_unknown_overrides_list_the_known_ones(self, saved):
        folder, _ = saved
        with pytest.raises(ValueError, match=r"has no \['names'\]; its fields are \['dimensions'"):
            AestheticHead.from_pretrained(folder, names=("Fun",))


class TestDamagedMetadata:
    """Whatever the metadata hold, a head loads or a line says which file is wrong."""

    @pytest.mark.parametrize(
        "change",
        [
            {"config": []},
            {"config": 3},
            {"provenance": [1]},
            *(
                {"config": {name: value}}
                for name in ("layers", "dim", "attention_heads", "downsampling", "dropout", "low")
                for value in ("text", None, -1e400, [2])
            ),
            *({"config": {name: v}} for name in ("layers", "dim") for v in (0, -1, 10**9, 1.5)),
            {"config": {"dimensions": "text"}},
            {"config": {"dimensions": [1, 2]}},
            {"config": {"dropout": -1.0}},
            {"config": {"unknown": 1}},
        ],
    )
    def test_is_refused_by_name(self, saved, change):
        file = saved[0] / "model.safetensors"
        description = json.loads((saved[0] / "config.json").read_text())
        if isinstance(change.get("config"), dict):
            change = {"config": {**description["config"], **change["config"]}}
        save_file(load_file(file), file, metadata={"head": json.dumps(description | change)})
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            AestheticHead.from_pretrained(file)

    @pytest.mark.parametrize("text", ["[]", "3", "{", "[" * 100_000])
    def test_that_is_no_object_is_refused(self, saved, text):
        file = saved[0] / "model.safetensors"
        save_file(load_file(file), file, metadata={"head": text})
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            AestheticHead.from_pretrained(file)

    def test_no_provenance_is_none(self, saved):
        file = saved[0] / "model.safetensors"
        description = json.loads((saved[0] / "config.json").read_text()) | {"provenance": None}
        save_file(load_file(file), file, metadata={"head": json.dumps(description)})
        assert AestheticHead.from_pretrained(file).provenance == {}

    @pytest.mark.parametrize("data", [b"", b"root:x:0:0\n", b"a.\n", b"(lp0\n.", b"."])
    def test_any_other_file_is_refused(self, tmp_path, data):
        file = tmp_path / "passwd"
        file.write_bytes(data)
        with pytest.raises(ValueError, match="passwd"):
            AestheticHead.from_pretrained(file)


def test_equal_heads_are_equal_files(tiny_head, tmp_path):
    files = [
        tiny_head.save_pretrained(tmp_path / str(number)) / "model.safetensors"
        for number in range(12)
    ]
    assert len({file.read_bytes() for file in files}) == 1


def test_a_save_that_fails_leaves_the_old_head(saved, monkeypatch):
    folder, head = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="space"):
        head.save_pretrained(folder, provenance={"seed": 2})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_fingerprint_is_of_what_decides_scores(golden, tmp_path):
    path = golden / "hear_head" / "track1.model.safetensors"
    head = AestheticHead.from_pretrained(path)
    again = AestheticHead.from_pretrained(head.save_pretrained(tmp_path, provenance={"seed": 7}))
    assert again.fingerprint() == head.fingerprint()
    other = AestheticHead.from_pretrained(path, high=10.0)
    assert other.fingerprint() != head.fingerprint()
    with torch.no_grad():
        head.output.bias += 1
    assert again.fingerprint() != head.fingerprint()


def test_heads_of_one_sequence_say_what_they_need(golden, tiny_head):
    baseline = SongEvalBaselineHead.from_pretrained(
        golden / "songeval_baseline" / "model.safetensors"
    )
    for head, reads in ((tiny_head.eval(), "fused"), (baseline, "muq_06")):
        assert isinstance(head, SequenceHead)
        assert head.reads == reads
        assert head.feature_dim == head.input_layer.in_features
        frames = torch.randn(2, head.min_frames, head.feature_dim)
        assert head(frames).shape == (2, len(head.config.dimensions))
        with pytest.raises(ValueError, match="at least"):
            head(frames[:, : head.min_frames - 1])
    assert baseline.frame_shares(frames) is None
