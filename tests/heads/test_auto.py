"""Heads are recognised by their description or by their tensors."""

import pytest
import torch
from safetensors.torch import save_file

from heads import AestheticHead, DualBranchConfig, DualBranchHead, SongEvalBaselineHead
from heads.auto import HEADS, head_name


@pytest.mark.parity
@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("hear_head/track1.model.safetensors", AestheticHead),
        ("songeval_baseline/model.safetensors", SongEvalBaselineHead),
    ],
)
def test_published_files_are_known_by_their_tensors(golden, file, kind):
    assert HEADS[head_name(golden / file)] is kind
    head = kind.from_pretrained(golden / file)
    assert head.provenance["source"] == str(golden / file)


def test_saved_heads_are_known_by_their_description(tmp_path, tiny_head):
    dual = DualBranchHead(DualBranchConfig(audio_dim=8, text_dim=8, common_dim=8))
    for head in (tiny_head, dual):
        folder = head.save_pretrained(tmp_path, provenance={"seed": 7})
        assert HEADS[head_name(folder / "model.safetensors")] is type(head)
        assert type(head).from_pretrained(folder).provenance == {"seed": 7}


def test_unknown_files_list_the_known_heads(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"something": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"holds no head: .* AestheticHead, .*DualBranchHead, "):
        head_name(path)
