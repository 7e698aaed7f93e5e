"""Heads are recognised by what their files say."""

import pytest
import torch
from safetensors.torch import save_file

from heads import AestheticHead, DualBranchConfig, DualBranchHead, SongEvalBaselineHead, load_head


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
