"""The synthetic set: MusicEval's layout, labels that say what they claim, systems that differ."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.errors import InputError
from hear_aesthetics.synthesis import describe
from hear_aesthetics.synthesis.folder import begin_set
from musiceval_task.data.dataset import DEMO_SYSTEMS, read_clips, system_of
from musiceval_task.data.synthetic import (
    SYSTEMS,
    Recipe,
    SyntheticClip,
    plan,
    render_clips,
    write_lists,
)

pytestmark = pytest.mark.slow
RECIPE = Recipe(prompts=10, seconds=4.0, seed=1)


@pytest.fixture(scope="module")
def planned() -> list[SyntheticClip]:
    return plan(RECIPE)


def test_there_are_enough_systems_and_the_demo_systems_are_among_them() -> None:
    assert len(SYSTEMS) >= 12
    assert set(SYSTEMS) >= DEMO_SYSTEMS


def test_every_system_is_in_every_list(planned: list[SyntheticClip]) -> None:
    counts = Counter((system_of(clip.name), clip.split) for clip in planned)
    assert len(counts) == len(SYSTEMS) * 3
    assert sum(counts.values()) == len({clip.name for clip in planned}) == len(SYSTEMS) * 10


def test_prompts_name_style_tempo_and_instruments(planned: list[SyntheticClip]) -> None:
    for clip in planned:
        prompt = clip.prompt
        named = (prompt.style, prompt.tempo_word, *prompt.instruments)
        assert all(name in prompt.text for name in named)
        assert 1 <= len(prompt.instruments) <= 2


def test_every_style_and_tempo_is_asked_for_equally_often() -> None:
    """Else a clip in the favoured style would more often be what was asked for."""
    asked: dict[str, Counter] = {}
    for clip in plan(Recipe(prompts=6, seconds=2.0)):
        pair = (clip.prompt.style, clip.prompt.tempo_word)
        asked.setdefault(system_of(clip.name), Counter())[pair] += 1
    assert len(asked) == len(SYSTEMS)
    assert all(set(counts.values()) == {1} and len(counts) == 6 for counts in asked.values())


def test_alignment_follows_the_attributes_that_the_clip_really_has(
    planned: list[SyntheticClip],
) -> None:
    share = np.array([clip.prompt.met_by(describe(clip.composition)) for clip in planned])
    rated = np.array([clip.textual for clip in planned])
    assert np.corrcoef(share, rated)[0, 1] > 0.95
    assert share.min() == 0
    assert share.max() == 1
    assert np.abs(rated - (1 + 4 * share)).mean() < 0.3


def test_impression_follows_the_system_and_alignment_does_not(
    planned: list[SyntheticClip],
) -> None:
    systems = np.array([system_of(clip.name) for clip in planned])
    table = np.array([[clip.overall, clip.textual] for clip in planned])
    means = np.array([table[systems == name].mean(axis=0) for name in SYSTEMS])
    within = np.array([table[systems == name].var(axis=0) for name in SYSTEMS]).mean(axis=0)
    share = means.var(axis=0) / (means.var(axis=0) + within)  # of the variance, between systems
    assert share[0] > 0.8
    assert share[1] < 0.25  # ten clips each: a tenth is expected by chance


def test_neither_clip_nor_prompt_alone_tells_the_alignment(planned: list[SyntheticClip]) -> None:
    rated = np.array([clip.textual for clip in planned])
    for names in (
        [clip.composition.style for clip in planned],
        [describe(clip.composition).tempo_word for clip in planned],
        [clip.prompt.style for clip in planned],
        [clip.prompt.tempo_word for clip in planned],
    ):
        groups = [rated[np.array(names) == name].mean() for name in dict.fromkeys(names)]
        assert np.ptp(groups) < 1.1


def test_the_seed_decides_everything() -> None:
    recipe, other = (Recipe(prompts=5, seconds=2.0, seed=seed) for seed in (3, 4))
    first = plan(recipe)
    assert first == plan(recipe)
    assert first != plan(other)


def test_the_folder_reads_back_as_planned(planned: list[SyntheticClip], tmp_path: Path) -> None:
    begin_set(tmp_path, RECIPE)
    some = planned[:2] + planned[40:42]
    rendered = list(render_clips(some, tmp_path))
    assert {clip.name for clip in rendered} == {clip.name for clip in some}
    write_lists(tmp_path, some)
    splits = dict.fromkeys(clip.split for clip in some)
    found = {clip.name: clip for clip in read_clips(tmp_path, list(splits))}
    for clip in some:
        read = found[clip.name]
        assert (read.prompt, read.split) == (clip.prompt.text, clip.split)
        assert (read.overall, read.textual) == pytest.approx((clip.overall, clip.textual))
        info = soundfile.info(read.path)
        assert (info.samplerate, info.duration) == (24_000, RECIPE.seconds)
    assert not list(render_clips(some, tmp_path))  # what is there is not made again


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    begin_set(tmp_path / "set", RECIPE)
    begin_set(tmp_path / "set", RECIPE)
    with pytest.raises(InputError, match=r"prompts was .*--overwrite"):
        begin_set(tmp_path / "set", Recipe())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(InputError, match="holds other files"):
        begin_set(tmp_path / "other", RECIPE)


@pytest.mark.parametrize("options", [{"prompts": 2}, {"seconds": 0.5}, {"seconds": 60.0}])
def test_impossible_recipes_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="take"):
        Recipe(**options)
