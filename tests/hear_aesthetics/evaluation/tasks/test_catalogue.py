"""The 19 published tasks: complete, as published, and recognised by their folders."""

import re

import pytest

from hear_aesthetics.evaluation.tasks.catalogue import CATALOGUE, by_column, published
from hear_aesthetics.evaluation.tasks.scores import SCORES
from hear_aesthetics.evaluation.tasks.task import load_task

OFFICIAL_COLUMNS = {  # of the official leaderboard's CSV
    "Beehive": "Beehive States",
    "Beijing Opera": "Beijing Opera Percussion",
    "CREMA-D": "CREMA-D",
    "DCASE 2016": "DCASE 2016 Task 2",
    "ESC-50": "ESC-50",
    "FSD50K": "FSD50K",
    "GTZAN Genre": "GTZAN Genre",
    "GTZAN Music/Speech": "GTZAN Music Speech",
    "Gunshot": "Gunshot Triangulation",
    "Libricount": "LibriCount",
    "Maestro 5h": "MAESTRO 5h",
    "Mridangam Stroke": "Mridangam Stroke",
    "Mridangam Tonic": "Mridangam Tonic",
    "NSynth Pitch 50h": "NSynth Pitch 50h",
    "NSynth Pitch 5h": "NSynth Pitch 5h",
    "Speech commands 5h": "Speech Commands 5h",
    "Speech commands full": "Speech Commands full",
    "Vocal Imitation": "Vocal Imitations",
    "VoxLingua107 top 10": "VoxLingua107 Top 10",
}


def test_there_are_nineteen_and_each_has_a_score_we_compute():
    assert len(CATALOGUE) == len({entry.title for entry in CATALOGUE}) == 19
    for entry in CATALOGUE:
        kind = "event" if entry.embedding_type == "event" else entry.prediction_type
        assert kind in SCORES[entry.score].kinds, entry.title


@pytest.mark.parametrize(("column", "title"), OFFICIAL_COLUMNS.items())
def test_columns_of_the_official_leaderboard_are_recognised(column, title):
    assert by_column(column).title == title


@pytest.mark.parametrize("column", ["", "Mridangam", "GTZAN", "Speech", "URL", "spoken_digit"])
def test_other_columns_and_ambiguous_ones_are_not(column):
    assert by_column(column) is None


@pytest.mark.parametrize(
    ("name", "mode", "title"),
    [
        ("esc50", "full", "ESC-50"),
        ("nsynth_pitch", "5h", "NSynth Pitch 5h"),
        ("nsynth_pitch", "50h", "NSynth Pitch 50h"),
        ("beehive_states_fold1", "full", "Beehive States"),
        ("speech_commands", "small", None),
        ("esc50", "small", None),
        ("tones", "full", None),
    ],
)
def test_folders_are_recognised_and_small_extracts_are_other_tasks(make_task, name, mode, title):
    entry = published(load_task(make_task(task_name=name, mode=mode)))
    assert (entry.title if entry else None) == title


def test_figures_are_those_of_the_published_table(shared):
    text = (shared / "FACTS.md").read_text()
    table = re.findall(r"^\|([^|]+)\|([^|]+)\| ([ST]) \| ([CL]) \|(.+)\|$", text, re.M)
    rows = {re.sub(r" h$", "h", row[0].strip()): row for row in table}
    assert len(rows) == 19
    for entry in CATALOGUE:
        _, names, kind, predictor, rest = rows[entry.title]
        splits, seconds, clips, score = (cell.strip() for cell in rest.split("|"))
        assert names.strip().split(", _")[0] == entry.task_names[0]
        assert kind == {"scene": "S", "event": "T"}[entry.embedding_type]
        assert predictor == {"multiclass": "C", "multilabel": "L"}[entry.prediction_type]
        assert splits == (f"{entry.folds}-fold" if entry.folds else "TVT")
        assert (seconds, score) == (entry.seconds, entry.score)
        assert int(clips.replace(",", "")) == entry.clips
