"""Heads are recognised by what their files say."""

import pytest
import torch
from safetensors.torch import save_file

from heads import (
    AestheticHead,
    DualBranchConfig,
    DualBranchHead,
    SequenceHead,
    SongEvalBaselineHead,
    load_head,
)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("hear_head/track1.model.safetensors", AestheticHead),
        ("songeval_baseline/model.safetensors", SongEvalBaselineHead),
    ],
)
def test_published_files_are_known_by_their_tensors(golden, file, kind):
    head = load_head(golden / file)
    assert type(head) is kind
    assert head.provenance["source"] == str(golden / file)


def test_saved_heads_are_known_by_their_description(tmp_path, tiny_head):
    dual = DualBranchHead(DualBranchConfig(audio_dim=8, text_dim=8, common_dim=8))
    for head in (tiny_head, dual):
        loaded = load_head(head.save_pretrained(tmp_path, provenance={"seed": 7}))
        assert type(loaded) is type(head)
        assert loaded.provenance == {"seed": 7}


def test_overrides_reach_the_configuration(golden):
    path = golden / "hear_head" / "track1.model.safetensors"
    assert load_head(path, dimensions=("Groove",)).config.dimensions == ("Groove",)


def test_unknown_files_list_the_known_heads(tmp_path):
    save_file({"something": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"no head known here.*'AestheticHead', 'DualBranchHead'"):
        load_head(tmp_path)


def test_a_fingerprint_is_of_what_decides_scores(golden, tmp_path):
    path = golden / "hear_head" / "track1.model.safetensors"
    head = load_head(path)
    again = load_head(head.save_pretrained(tmp_path, provenance={"seed": 7}))
    assert again.fingerprint() == head.fingerprint()
    assert load_head(path, high=10.0).fingerprint() != head.fingerprint()
    with torch.no_grad():
        head.output.bias += 1
    assert again.fingerprint() != head.fingerprint()


def test_heads_of_one_sequence_say_what_they_need(golden, tiny_head):
    baseline = load_head(golden / "songeval_baseline" / "model.safetensors")
    for head, reads in ((tiny_head.eval(), "fused"), (baseline, "muq_06")):
        assert isinstance(head, SequenceHead)
        assert head.reads == reads
        assert head.feature_dim == head.input_layer.in_features
        frames = torch.randn(2, head.min_frames, head.feature_dim)
        assert head(frames).shape == (2, len(head.config.dimensions))
        with pytest.raises(ValueError, match="at least"):
            head(frames[:, : head.min_frames - 1])
    assert baseline.frame_shares(frames) is None
