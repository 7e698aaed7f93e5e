"""The eight members are the published ones, as data."""

from musiceval_task.training.members import MEMBERS, head_config


def test_the_recipe_is_the_published_ensemble() -> None:
    gaussian = [m for m in MEMBERS.values() if m.target == "gaussian" and not m.variant]
    assert [member.seed for member in gaussian] == [1984, 1990, 1910, 1510]
    others = {m.name: (m.seed, m.target, m.variant) for m in MEMBERS.values() if m not in gaussian}
    assert others == {
        "one-hot": (1984, "one-hot", {}),
        "coral": (1510, "coral", {"output": "ordinal"}),
        "decoupled-lstm": (1984, "gaussian", {"coupled": False, "branch": "lstm"}),
        "decoupled": (1984, "gaussian", {"coupled": False}),
    }


def test_at_published_widths_the_head_has_the_published_sizes() -> None:
    config = head_config(MEMBERS["gaussian-1984"], 1024, 768, "published")
    assert (config.common_dim, config.attention_heads, config.bins) == (768, 4, 20)
    assert (config.positions_alone, config.text_residual) == (True, False)
    assert config.text_pooling == "released"


def test_narrow_states_keep_the_proportion() -> None:
    config = head_config(MEMBERS["decoupled"], 128, 64)
    assert (config.audio_dim, config.text_dim, config.common_dim) == (128, 64, 96)
    assert (config.positions, config.text_residual, config.coupled) == (True, True, False)
    assert (config.positions_alone, config.text_pooling) == (False, "attentive")
