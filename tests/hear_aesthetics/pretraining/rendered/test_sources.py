from pathlib import Path

import pytest

from hear_aesthetics.errors import DataUnavailableError
from hear_aesthetics.pretraining.rendered.sources import sources

FREE = ("MIT", "CC0")
OF_THE_EVALUATION = ("timgm6mb", "hydrogen", "klettres", "tuxpaint", "asterisk")


def test_sources_are_free_and_none_is_of_the_evaluation() -> None:
    for source in sources().values():
        assert source.licence.startswith(FREE)
        assert source.notice
        names = f"{source.package} {source.path}".lower()
        assert not any(name in names for name in OF_THE_EVALUATION)


def test_a_missing_source_names_its_place_and_package(tmp_path: Path) -> None:
    for source in sources().values():
        with pytest.raises(DataUnavailableError) as error:
            source.find(tmp_path / "none")
        assert source.package in str(error.value)
        assert str(tmp_path / "none") in str(error.value)
        assert "\n" not in str(error.value)


def test_a_given_path_goes_before_debians(tmp_path: Path) -> None:
    assert sources()["fluid"].find(tmp_path) == tmp_path
