"""``--ray`` takes an address or none, wherever it stands."""

import pytest

from hear_aesthetics.commands.cluster import with_ray_address


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("score songs --ray", "score songs --ray local"),
        ("score --ray songs", "score --ray local songs"),
        ("score --ray --out x", "score --ray local --out x"),
        ("score --ray auto songs", "score --ray auto songs"),
        ("score --ray head-1.lan:6379 songs", "score --ray head-1.lan:6379 songs"),
        ("score --ray [::1]:6379 songs", "score --ray [::1]:6379 songs"),
        ("score --ray=auto songs", "score --ray=auto songs"),
        ("score songs", "score songs"),
    ],
)
def test_an_address_is_one_only_where_it_looks_like_one(words: str, expected: str) -> None:
    assert with_ray_address(words.split()) == expected.split()
