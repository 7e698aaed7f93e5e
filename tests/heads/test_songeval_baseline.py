"""The SongEval baseline head: parity, masks, and the SongBench variant."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from heads import SONGBENCH_DIMENSIONS, SONGEVAL_DIMENSIONS
from heads import SongEvalBaselineConfig as Config
from heads import SongEvalBaselineHead as Head

TINY = Config(dim=16, ffn_dim=32, layers=2)


@pytest.mark.parity
@torch.no_grad()
def test_scores_match_the_published_head(golden):
    folder = golden / "songeval_baseline"
    head = Head.from_pretrained(folder / "model.safetensors")
    cases = load_file(folder / "cases.safetensors")
    names = [name.removesuffix(".features") for name in cases if name.endswith(".features")]
    assert names
    for name in names:
        scores = head(cases[f"{name}.features"])
        torch.testing.assert_close(scores, cases[f"{name}.scores"], rtol=1e-4, atol=1e-4)


@pytest.mark.parity
@torch.no_grad()
def test_scores_of_real_encoder_states_match(golden):
    folder = golden / "songeval_baseline"
    head = Head.from_pretrained(folder / "chain.model.safetensors")
    outputs = load_file(folder / "chain.outputs.safetensors")
    assert outputs
    for name, expected in outputs.items():
        states = load_file(golden / "muq_tiny" / f"{name.split('.')[0]}.safetensors")
        torch.testing.assert_close(head(states["hidden_06"]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parity
def test_full_size_listing_fits_by_name_and_shape(golden):
    listing = json.loads((golden / "songeval_baseline/songeval_state_dict.json").read_text())
    config = Head.config_from_published({name: tuple(shape) for name, shape in listing.items()})
    assert config == Config()
    with torch.device("meta"):
        head = Head(config)
    published = head.published_state_dict()
    assert {name: list(tensor.shape) for name, tensor in published.items()} == listing
    assert sum(p.numel() for p in head.parameters()) == 25_197_573


@pytest.mark.parametrize(
    ("outputs", "dimensions", "high"),
    [(5, SONGEVAL_DIMENSIONS, 5.0), (7, SONGBENCH_DIMENSIONS, 10.0)],
)
def test_the_number_of_outputs_tells_songeval_from_songbench(tmp_path, outputs, dimensions, high):
    saved = Head(Config(dim=16, ffn_dim=32, dimensions=tuple("abcdefg"[:outputs])))
    save_file(saved.published_state_dict(), tmp_path / "published.safetensors")
    head = Head.from_pretrained(tmp_path / "published.safetensors")
    assert head.config.dimensions == dimensions
    assert (head.config.low, head.config.high) == (1.0, high)
    torch.nn.init.zeros_(head.output.weight)
    torch.nn.init.zeros_(head.output.bias)
    middle = head(torch.randn(1, 4, 16))
    torch.testing.assert_close(middle, torch.full((1, outputs), (1 + high) / 2))


@torch.no_grad()
def test_batch_equals_songs_one_by_one_whatever_the_padding_holds():
    head, lengths = Head(TINY).eval(), [20, 11, 1]
    features = torch.randn(3, 20, 16)
    padding_mask = torch.arange(20) >= torch.tensor(lengths)[:, None]
    for rubbish in (0.0, torch.nan):
        features[padding_mask] = rubbish
        batched = head(features, padding_mask)
        for row, length in enumerate(lengths):
            alone = head(features[row : row + 1, :length])
            torch.testing.assert_close(batched[row : row + 1], alone, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize(
    ("features", "padding_mask", "message"),
    [
        (torch.zeros(1, 0, 16), None, "no frames"),
        (torch.zeros(1, 3, 16), torch.ones(1, 3, dtype=torch.bool), r"item\(s\) \[0\]"),
        (torch.zeros(1, 3, 8), None, r"\(batch, frames, 16\)"),
    ],
)
def test_input_without_audio_is_refused(features, padding_mask, message):
    with pytest.raises(ValueError, match=message):
        Head(TINY)(features, padding_mask)
