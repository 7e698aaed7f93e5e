"""The configuration: published defaults, and every wrong value named."""

import json

import pytest

from hear_aesthetics.errors import InputError
from songeval_task.training.config import (
    SongEvalConfig,
    build_head,
    parse_sizes,
    read_config,
)


def test_the_defaults_are_the_published_training():
    config = SongEvalConfig()
    assert (config.learning_rate, config.weight_decay, config.gradient_norm) == (1e-5, 1e-3, 1.0)
    assert (config.batch_size, config.accumulation, config.epochs) == (8, 4, 60)
    assert (config.plateau_patience, config.min_learning_rate) == (400, 1e-8)
    assert [SongEvalConfig(track=name).ranking for name in ("track1", "track2")] == [
        0.15,
        0.05,
    ]


def test_options_win_over_settings_and_settings_over_the_file(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"epochs": 5, "seed": 3, "learning_rate": 0.1}))
    config = read_config(file, ["seed=4", "learning_rate=1e-3"], {"seed": 5, "track": None})
    assert (config.epochs, config.seed, config.learning_rate) == (5, 5, 1e-3)
    assert config.track == "track2"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["epochs"], "write key=value"),
        (["epoch=3"], "no such training option: epoch; there are track"),
        (["epochs=many"], "epochs is 'many'; it takes int"),
        (["epochs=0"], "epochs is 0; it must be above 0"),
        (["rank_weight=-1"], "rank_weight is -1; it must be 0 or more"),
        (["weight_decay=-0.1"], "weight_decay is -0.1; it must be 0 or more"),
        (["mixup=1"], "mixup is 1; it takes bool"),
        (["batch_size=1"], "a list to rank needs 2"),
        (["track=track3"], "choose track1 or track2"),
        (["regression=l3"], "it takes smooth_l1 or l1 or mse"),
        (["seed=99999999999999999999"], "seed is 99999999999999999999; it must be below"),
        (["head_size=tiny"], "'tiny' is no size of the aesthetic head"),
        (["head_size=dim=64,depth=2"], "'depth' is no size"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        read_config(None, settings, {})


def test_a_number_that_is_none_is_refused():
    with pytest.raises(InputError, match="rank_weight is nan; it must be 0 or more"):
        read_config(None, [], {"rank_weight": float("nan")})


def test_a_file_that_is_no_configuration_is_named(tmp_path):
    file = tmp_path / "config.json"
    file.write_text("[1]")
    with pytest.raises(InputError, match="holds no training options"):
        read_config(file, [], {})


def test_the_configuration_of_a_run_of_an_earlier_version_is_read(tmp_path):
    file = tmp_path / "config.json"
    training = {"protocol": "published", "standardise": True, "epochs": 7}
    file.write_text(json.dumps({"provenance": {"training": training}}))
    config = read_config(file, [], {})
    assert (config.select_on, config.last_version_only) == ("test", True)
    assert (config.standardize, config.epochs) == (True, 7)
    file.write_text(json.dumps({"protocol": "honest"}))
    assert read_config(file, [], {}) == SongEvalConfig()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ("dim=63", "attention heads do not divide"),
        ("dim=-8", "head_size dim=-8"),
        ("dim=1e3", "head_size dim=1e3"),
        ("attention_heads=0", "head_size attention_heads=0"),
        ("projection_dim=[1]", "head_size projection_dim"),
    ],
)
def test_sizes_that_make_no_head_are_named(sizes, message):
    with pytest.raises(InputError, match=message):
        build_head(SongEvalConfig(head_size=sizes), 16)


def test_sizes_come_by_name_or_one_by_one():
    assert parse_sizes("published", "aesthetic") == {}
    assert parse_sizes("ffn_dim=64, layers=2", "baseline") == {"ffn_dim": 64, "layers": 2}


def test_the_seed_decides_the_first_weights():
    first, again, other = (
        build_head(SongEvalConfig(head_size="small", seed=s), 8) for s in (0, 0, 1)
    )
    assert first.output.weight.equal(again.output.weight)
    assert not first.output.weight.equal(other.output.weight)


def test_the_width_of_the_features_is_no_size_of_a_head():
    with pytest.raises(InputError, match="'dim' is no size of the baseline head"):
        SongEvalConfig(features="muq_02", head_size="dim=64")
