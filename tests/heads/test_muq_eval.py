"""The MuQ-Eval head: a plain restatement, the published file with its encoder, strict names."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads import MuQEvalConfig as Config
from heads import MuQEvalHead as Head
from heads.auto import head_name

PUBLISHED = Config()
TINY = Config(dim=16, attention_dim=8, hidden_dim=4)


def published(config: Config, seed: int = 0) -> dict[str, Tensor]:
    """Seeded tensors in the published layout, with a piece of an encoder."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {
        "encoder.encoder.model.conv.linear.weight": (config.dim, 2),
        "encoder.pooling.attention.0.weight": (config.attention_dim, config.dim),
        "encoder.pooling.attention.0.bias": (config.attention_dim,),
        "encoder.pooling.attention.2.weight": (1, config.attention_dim),
        "encoder.pooling.attention.2.bias": (1,),
    }
    for name in config.dimensions:
        shapes[f"heads.{name}.mlp.0.weight"] = (config.hidden_dim, config.dim)
        shapes[f"heads.{name}.mlp.0.bias"] = (config.hidden_dim,)
        shapes[f"heads.{name}.mlp.3.weight"] = (1, config.hidden_dim)
        shapes[f"heads.{name}.mlp.3.bias"] = (1,)
    return {name: torch.randn(*shape, generator=draw) / 8 for name, shape in shapes.items()}


class PlainMuQEval(nn.Module):
    """The published head said plainly, under the published names."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        attention = nn.Sequential(
            nn.Linear(c.dim, c.attention_dim), nn.Tanh(), nn.Linear(c.attention_dim, 1)
        )
        pooling = nn.ModuleDict({"attention": attention})
        self.encoder = nn.ModuleDict({"pooling": pooling})
        self.heads = nn.ModuleDict()
        for name in c.dimensions:
            mlp = nn.Sequential(
                nn.Linear(c.dim, c.hidden_dim), nn.GELU(), nn.Dropout(), nn.Linear(c.hidden_dim, 1)
            )
            self.heads[name] = nn.ModuleDict({"mlp": mlp})

    def forward(self, states: Tensor) -> Tensor:
        weights = F.softmax(self.encoder["pooling"]["attention"](states), dim=1)
        pooled = (weights * states).sum(dim=1)
        return torch.cat([head["mlp"](pooled) for head in self.heads.values()], dim=1)


@pytest.fixture
def saved(tmp_path):
    """The path of a published file of these sizes."""

    def save(config: Config = TINY, **changed: Tensor | None):
        tensors = published(config) | changed
        path = tmp_path / "model_state_dict.pt"
        torch.save({name: t for name, t in tensors.items() if t is not None}, path)
        return path

    return save


@torch.no_grad()
def test_scores_equal_a_plain_restatement_at_the_published_size(saved):
    head = Head.from_pretrained(saved(PUBLISHED))
    plain = PlainMuQEval(PUBLISHED).eval()
    tensors = published(PUBLISHED)
    del tensors["encoder.encoder.model.conv.linear.weight"]
    plain.load_state_dict(tensors, strict=True)
    states = torch.randn(3, 250, 1024)
    torch.testing.assert_close(head(states), plain(states), rtol=0, atol=1e-5)
    assert head.config == PUBLISHED
    assert sum(p.numel() for p in head.parameters()) == 131_329 + 2 * 262_657


def test_sizes_and_dimensions_are_those_of_the_tensors(saved):
    config = Config(dim=12, attention_dim=6, hidden_dim=5, dimensions=("MI", "TA", "PQ"))
    assert Head.from_pretrained(saved(config)).config == config


def test_the_encoder_in_the_file_is_not_read(saved):
    """1.3 GB of the published file are MuQ; broken numbers there do not even show."""
    bad = torch.full((16, 2), torch.nan)
    path = saved(**{"encoder.encoder.model.conv.linear.weight": bad})
    assert head_name(path) == "MuQEvalHead"
    assert all(t.isfinite().all() for t in Head.from_pretrained(path).state_dict().values())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"heads.TA.mlp.3.bias": None}, r"missing: heads\.TA\.mlp\.3\.bias"),
        ({"bias_heads.MI.bias.weight": torch.zeros(2, 1)}, r"unexpected: bias_heads\.MI"),
        ({"heads.MI.mlp.3.weight": torch.zeros(5, 4)}, r"wrong shape: heads\.MI\.mlp\.3\.weight"),
        ({"heads.MI.mlp.0.weight": None, "heads.TA.mlp.0.weight": None}, "not a MuQEvalHead"),
        ({"encoder.pooling.attention.0.weight": None}, "not a MuQEvalHead"),
        ({"heads.MI.mlp.0.bias": torch.full((4,), torch.inf)}, "not finite"),
    ],
)
def test_other_tensors_are_refused_in_one_line(saved, changed, message):
    with pytest.raises(ValueError, match=message) as error:
        Head.from_pretrained(saved(**changed))
    assert "model_state_dict.pt" in str(error.value)
    assert "\n" not in str(error.value)


@torch.no_grad()
def test_batch_equals_clips_one_by_one_whatever_the_padding_holds():
    head, lengths = Head(TINY).eval(), [20, 11, 1]
    features = torch.randn(3, 20, 16)
    padding_mask = torch.arange(20) >= torch.tensor(lengths)[:, None]
    features[padding_mask] = torch.nan
    batched = head(features, padding_mask)
    for row, length in enumerate(lengths):
        alone = head(features[row : row + 1, :length])
        torch.testing.assert_close(batched[row : row + 1], alone, rtol=0.0, atol=1e-5)


@torch.no_grad()
def test_a_saved_head_is_small_and_scores_alike(saved, tmp_path):
    head = Head.from_pretrained(saved())
    again = Head.from_pretrained(head.save_pretrained(tmp_path / "small"))
    states = torch.randn(2, 9, 16)
    torch.testing.assert_close(again(states), head(states), rtol=0, atol=0)
    torch.testing.assert_close(head.frame_shares(states).sum(dim=1), torch.ones(2))


def test_input_without_frames_is_refused():
    with pytest.raises(ValueError, match="no frames"):
        Head(TINY)(torch.zeros(1, 0, 16))
