"""Reports, from every kind of predictions, and the pictures in them."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import json_text
from hear_aesthetics.plotting.style import WIDTH
from songeval_task.data.prepared import PreparedSong, write_prepared
from songeval_task.dimensions import DIMENSIONS, TRACKS
from songeval_task.protocol import SongPredictions
from songeval_task.reports import report_plots
from songeval_task.reports.read_predictions import NamedPredictions, read_predictions
from songeval_task.reports.report import write_report

NAMES = [dimension.name for dimension in DIMENSIONS]
PICTURES = ("scatter.png", "residuals.png", "confusion.png", "bars.png")


@pytest.fixture
def prepared(tmp_path):
    rng = np.random.default_rng(0)
    songs = [
        PreparedSong(
            f"mp3/{i}.mp3", tuple(map(float, rated)), 4, f"S{i % 3}", "test", "0" * 64, 1.0
        )
        for i, rated in enumerate(rng.uniform(1, 5, (20, 5)))
    ]
    return write_prepared(tmp_path / "prepared", tmp_path, songs, [], {}).folder


@pytest.fixture
def scores(prepared, tmp_path):
    """A table as ``score`` writes it: other folders, and a song too many."""
    table = pd.read_csv(prepared / "songs.csv")
    table["path"] = ["elsewhere/" + name.removeprefix("mp3/") for name in table["name"]]
    table = table[["path", *NAMES]]
    extra = pd.DataFrame([["elsewhere/99.wav", *[3.0] * 5]], columns=table.columns)
    pd.concat([table, extra]).sample(frac=1, random_state=1).to_csv(tmp_path / "s.csv", index=False)
    return tmp_path / "s.csv"


def predictions(track="track2"):
    rng = np.random.default_rng(1)
    target = rng.uniform(1, 5, (20, len(TRACKS[track].names)))
    names = tuple(f"{i}.mp3" for i in range(20))
    return SongPredictions(
        names, ("a", "b") * 10, target + rng.normal(size=target.shape), target, TRACKS[track]
    )


def test_the_inner_split_of_a_run_of_an_earlier_version_is_the_valid_one(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"track": "track2", "selected_on": "inner"}))
    predictions().table().assign(split="inner").to_csv(tmp_path / "predictions.csv", index=False)
    found = read_predictions(tmp_path, None, split="valid")
    assert found.predictions.songs == predictions().songs


def test_a_table_of_scores_meets_its_songs_by_their_stems(prepared, scores):
    found = read_predictions(scores, prepared).predictions
    assert len(found.songs) == 20
    assert found.preds == pytest.approx(found.target)
    assert found.track.name == "track2"


def test_an_answer_file_is_read_by_its_width(prepared, tmp_path):
    (tmp_path / "a.scp").write_text("".join(f"{i} {1 + i / 10}\n" for i in range(20)))
    found = read_predictions(tmp_path / "a.scp", prepared).predictions
    assert found.track.name == "track1"
    assert found.preds[3, 0] == pytest.approx(1.3)


def test_systems_may_come_from_a_file(prepared, scores, tmp_path):
    names = [f"mp3/{i}.mp3" for i in range(20)]
    pd.DataFrame({"name": names, "system": "only"}).to_csv(tmp_path / "systems.csv", index=False)
    found = read_predictions(scores, prepared, systems=tmp_path / "systems.csv").predictions
    assert set(found.systems) == {"only"}


def test_the_table_of_systems_is_read_as_prepare_reads_it(prepared, scores, tmp_path):
    text = "".join(f"./mp3/{i}.mp3;only\n" for i in range(20))
    (tmp_path / "systems.csv").write_text(f"file_name;system\n{text}", encoding="utf-8-sig")
    found = read_predictions(scores, prepared, systems=tmp_path / "systems.csv").predictions
    assert set(found.systems) == {"only"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 2\n", r"a\.scp: line 1 holds 2 scores"),
        ("0\n", r"a\.scp: line 1 holds 0 scores"),
        ("0 1\n1 1 2 3 4 5\n", r"a\.scp: line 2 holds 5 scores"),
        ("\n \n", r"a\.scp: holds no scores"),
        ("0 1\n\n0 2\n", r"a\.scp: line 3: '0' is scored twice"),
        ("0 high\n", r"a\.scp: line 1 holds 'high'"),
        ("0 1\n  \n1 nan\n", r"a\.scp: line 3 holds 'nan'"),
        ("0 1\n1 -inf\n", r"a\.scp: line 2 holds '-inf'"),
        ("0 1\n", r"no score of mp3/1\.mp3 \(19 missing\)"),
    ],
)
def test_a_wrong_answer_file_is_named(prepared, tmp_path, text, message):
    (tmp_path / "a.scp").write_text(text)
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / "a.scp", prepared)


def test_blank_lines_of_an_answer_file_are_skipped(prepared, tmp_path):
    lines = "\n  \n".join(f"{i} {1 + i / 10}" for i in range(20))
    (tmp_path / "a.scp").write_text(f"\ufeff{lines}\n\n", encoding="utf-8")
    found = read_predictions(tmp_path / "a.scp", prepared).predictions
    assert found.preds[19, 0] == pytest.approx(2.9)


@pytest.mark.parametrize("cell", ["nan", "inf", "-Infinity", "high", ""])
def test_a_cell_without_a_finite_number_is_named(prepared, scores, tmp_path, cell):
    lines = scores.read_text().splitlines()
    first, *cells = lines[3].split(",")
    lines[3] = ",".join([first, cells[0], cell, *cells[2:]])
    scores.write_text("\n".join([lines[0], "", *lines[1:], ",,,,,", ""]))
    message = rf"s\.csv: line 5, column '{NAMES[1]}' holds '{cell}'"
    with pytest.raises(InputError, match=message):
        read_predictions(scores, prepared)
    lines[3] = first + "," * len(cells)  # what could not be scored has no cell filled
    scores.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"no score of .* \(1 missing\)"):
        read_predictions(scores, prepared)


def test_a_table_of_predictions_comes_back_as_it_was(tmp_path):
    (tmp_path / "metrics.json").write_text('{"track": "track2"}')
    found = predictions()
    table = found.table().assign(split="test")
    table.to_csv(tmp_path / "predictions.csv", index=False)
    again = read_predictions(tmp_path, None).predictions
    assert (again.songs, again.systems) == (found.songs, found.systems)
    assert np.array_equal(again.preds, found.preds)
    assert np.array_equal(again.target, found.target)
    table.drop(columns="rated Clarity").to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(InputError, match=r"predictions\.csv: has no column 'rated Clarity'"):
        read_predictions(tmp_path, None)


@pytest.mark.parametrize("cell", ["inf", "", "high"])
def test_a_run_with_a_cell_that_is_no_number_is_refused_by_line(tmp_path, cell):
    table = predictions().table().assign(split="test").astype(str)
    table.loc[4, f"rated {NAMES[2]}"] = cell
    text = table.to_csv(index=False)
    (tmp_path / "predictions.csv").write_text(text.replace("\n", "\n\n", 1))
    (tmp_path / "metrics.json").write_text('{"track": "track2"}')
    with pytest.raises(InputError, match=rf"predictions\.csv: line 7, column 'rated {NAMES[2]}'"):
        read_predictions(tmp_path, None)


def test_a_table_of_systems_needs_its_columns(prepared, scores, tmp_path):
    (tmp_path / "systems.csv").write_text("song,system\n0,a\n")
    with pytest.raises(InputError, match=r"systems\.csv: needs the columns name and system"):
        read_predictions(scores, prepared, systems=tmp_path / "systems.csv")


def test_scores_without_ratings_and_folders_without_a_run_are_refused(scores, tmp_path):
    with pytest.raises(InputError, match="name them with --data"):
        read_predictions(scores, None)
    with pytest.raises(InputError, match="not a finished run"):
        read_predictions(tmp_path, None)


@pytest.mark.parametrize("track", ["track1", "track2"])
def test_a_report_holds_figures_answer_file_and_pictures(tmp_path, track):
    source = NamedPredictions(
        "mine", "test", predictions(track), {"selected_on": "valid", "seed": 1}
    )
    figures = write_report(tmp_path, source)
    assert json.loads((tmp_path / "metrics.json").read_text()) == json.loads(json_text(figures))
    page = (tmp_path / "report.md").read_text()
    for name in PICTURES:
        assert f"({name})" in page
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 400
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # something is drawn
    assert (tmp_path / f"{track}_pred.scp").is_file()
    assert "Selected on the test songs" not in page


@pytest.mark.parametrize("track", ["track1", "track2"])
def test_pictures_fit_a_column_and_no_text_covers_another(
    tmp_path, track, saved_figures, check_layout
):
    write_report(tmp_path, NamedPredictions("mine", "test", predictions(track), {}))
    assert len(saved_figures) == len(PICTURES)
    for figure in saved_figures:
        assert figure.get_figwidth() <= WIDTH
        assert set(TRACKS[track].names) <= set(check_layout(figure))


def test_counts_of_the_top_tier_are_those_of_the_songs(tmp_path, saved_figures):
    found = predictions("track1")
    report_plots.draw_confusion(tmp_path / "c.png", found, {"Musicality": {"tta": [1]}})
    (axes,) = saved_figures[0].axes
    (top,) = (dimension.top_tier for dimension in found.track.dimensions)
    rated, predicted = found.target[:, 0] >= top, found.preds[:, 0] >= top
    counts = {text.get_position(): int(text.get_text().split()[0]) for text in axes.texts[:4]}
    assert counts == {
        (column, row): np.sum((rated == (row == 0)) & (predicted == (column == 0)))
        for row in (0, 1)
        for column in (0, 1)
    }


def test_selection_on_the_test_songs_is_called_optimistic(tmp_path):
    source = NamedPredictions("mine", "test", predictions(), {"selected_on": "test"})
    write_report(tmp_path, source)
    assert "chosen on the very songs reported here" in (tmp_path / "report.md").read_text()


def test_a_comparison_is_part_of_the_page(tmp_path):
    mine = NamedPredictions("mine", "test", predictions(), {})
    figures = write_report(tmp_path, mine, NamedPredictions("theirs", "test", predictions(), {}))
    page = (tmp_path / "report.md").read_text()
    assert figures["difference"]["mean"]["lcc"][0] == 0
    assert "Difference to theirs" in page
    assert "| mean | +0.000 [not estimable] |" in page


def test_constant_predictions_and_ratings_still_make_a_report(tmp_path):
    found = predictions()
    flat = SongPredictions(
        found.songs, found.systems, found.preds * 0 + 3, found.target * 0 + 4, found.track
    )
    assert (
        write_report(tmp_path, NamedPredictions("flat", "test", flat, {}))["utterance"]["mean"][
            "lcc"
        ][0]
        == 0
    )


def test_marks_at_the_ends_of_the_scale_stay_whole(monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(report_plots, "save", lambda figure, path: figures.append(figure))
    found = predictions("track1")
    ends = np.tile([1.0, 5.0], 10)[:, None]
    found = SongPredictions(found.songs, found.systems, ends, ends, found.track)
    report_plots.draw_scatter(tmp_path / "a.png", found, {"Musicality": {"lcc": [1], "srcc": [1]}})
    report_plots.draw_residuals(tmp_path / "b.png", found)
    for figure in figures:
        (axes,) = figure.axes
        (marks,) = axes.collections
        radius = np.sqrt(marks.get_sizes()[0]) / 2 * figure.dpi / 72  # pixels
        places = axes.transData.transform(marks.get_offsets())
        inside = axes.bbox.padded(-radius)
        assert all(inside.contains(*place) for place in places)
