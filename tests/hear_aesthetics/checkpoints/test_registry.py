import re
from typing import get_args, get_type_hints

import pytest

from hear_aesthetics.checkpoints import CHECKPOINTS, Checkpoint, by_name
from hear_aesthetics.checkpoints.registry import REPOS, by_repo


def test_every_hash_and_revision_is_whole():
    for record in CHECKPOINTS.values():
        assert record.revision is None or re.fullmatch("[0-9a-f]{40}", record.revision)
        for file in record.files:
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size is None or file.size > 0


@pytest.mark.parametrize("field", ["kind", "status"])
def test_every_kind_and_status_is_a_declared_one(field):
    declared = get_args(get_type_hints(Checkpoint)[field])
    assert {getattr(record, field) for record in CHECKPOINTS.values()} == set(declared)


@pytest.mark.parametrize(
    ("name", "file", "size", "sha256"),
    [
        ("muq", "config.json", 3_133, "237335ee"),
        ("muq", "model.safetensors", 1_333_825_096, "273febab"),
        ("musicfm-msd", "pretrained_msd.pt", 1_316_802_088, "218b483a"),
        ("musicfm-msd", "msd_stats.json", 2_277, "c36c61ab"),
        ("musicfm-fma", "pretrained_fma.pt", 1_316_802_154, "68392eee"),
        ("songbench", "songbench.safetensors", 100_808_636, "ca27966a"),
        ("audiobox", "model.safetensors", 415_472_992, "a5a3c241"),
        ("audiobox", "config.json", 492, "0b8eabc5"),
        ("roberta-base", "model.safetensors", 498_818_054, "5bde1d28"),
    ],
)
def test_published_sizes_and_hashes(name, file, size, sha256):
    files = {f.name: f for f in by_name(name).files}
    assert files[file].size == size
    assert files[file].sha256.startswith(sha256)


def test_pinned_revisions():
    pins = {r.repo: r.revision[:8] for r in CHECKPOINTS.values() if r.revision}
    assert pins == {
        "OpenMuQ/MuQ-large-msd-iter": "0562a578",
        "minzwon/MusicFM": "4513b38b",
        "facebook/audiobox-aesthetics": "9b1dd8e5",
        "roberta-base": "e2da8e2f",
    }


def test_what_could_not_be_checked_is_unknown_and_said_to_be():
    for name in ("hear-track1", "hear-track2"):
        record = by_name(name)
        assert record.revision is None
        assert record.files[0].sha256 is None
        assert record.size is None
        assert "could be checked" in record.notes


def test_size_of_a_pair_is_the_sum_of_its_parts():
    assert by_name("large").size == 1_333_825_096 + 3_133 + 1_316_802_088 + 2_277
    assert by_name("musicfm-fma").size == 1_316_802_154 + 2_281
    assert by_name("roberta-base").size is None  # its tokenizer's sizes are not known


def test_a_model_may_be_used_commercially_only_if_all_its_parts_may():
    large = by_name("large")
    assert large.commercial is False
    assert False in [by_name(part).commercial for part in large.parts]
    assert [n for n, r in CHECKPOINTS.items() if r.commercial] == [
        "mini",
        "mini-0.1",
        "mini-0.2",
        "audiobox",
        "roberta-base",
    ]


def test_every_record_says_licence_status_and_fair_use():
    for record in CHECKPOINTS.values():
        assert record.description
        assert record.weights_licence
        assert record.fair
        assert record.repo or record.parts or record.instructions or record.name[:4] == "mini"


def test_a_repository_leads_to_its_checkpoint():
    assert by_repo("OpenMuQ/MuQ-large-msd-iter") is by_name("muq")
    assert by_repo("minzwon/MusicFM") is by_name("musicfm-msd")
    assert by_repo("nobody/nothing") is None
    assert REPOS[0] == "OpenMuQ/MuQ-large-msd-iter"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown checkpoint 'mu'; known: mini, mini-0.1, mini-0.2, large, muq"
    ):
        by_name("mu")
