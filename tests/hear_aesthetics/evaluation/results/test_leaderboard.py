"""Results side by side: read from either kit's folders, joined, normalised, ranked and shown."""

import csv
import io
import json
import math

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.results import leaderboard_text as text
from hear_aesthetics.evaluation.results.leaderboard import collect_results, make_leaderboard
from hear_aesthetics.evaluation.results.leaderboard_plot import draw_leaderboard
from hear_aesthetics.evaluation.results.submissions import read_official
from hear_aesthetics.evaluation.results.task_result import TaskResult, read_result

OFFICIAL = """Model,URL,Submission Date,ESC-50,DCASE 2016,Mystery
Low,http://low,2022-01-01,0.2,,0.5
High,http://high,2022-01-01,0.8,0.9,
Middle,http://middle,2022-01-01,0.5,0.4,0.1
"""


def result(model="ours", task="ESC-50", score=0.6, **changes):
    """A robust result with an interval of 0.1 either side."""
    about = {"score_name": "top1_acc", "higher_is_better": True, "protocol": "robust"}
    about |= {"parts": (task,), "interval": (score - 0.1, score + 0.1)}
    return TaskResult(model=model, task=task, score=score, **about | changes)


@pytest.fixture
def official(tmp_path):
    path = tmp_path / "official.csv"
    path.write_text(OFFICIAL)
    return read_official(path)


@pytest.fixture
def scored(make_embeddings):
    """A function that writes an embedding folder with the scores of an evaluation."""

    def make(model="levels", score=0.5, robust=None, settings=None, **metadata):
        folder = make_embeddings(model, **metadata)
        scores = {"test": {"test_score": score}}
        (folder / "test.predicted-scores.json").write_text(json.dumps(scores))
        mark = {"time": 1.0} | ({"settings": settings} if settings else {})
        (folder / "prediction-done.json").write_text(json.dumps(mark))
        if robust:
            (folder / "test.robust-scores.json").write_text(json.dumps(robust))
        return folder

    return make


def test_a_result_of_the_official_kit_is_read(scored):
    found = read_result(scored(score=0.25, task_name="esc50", mode="full"))
    assert (found.model, found.task, found.score) == ("levels", "ESC-50", 0.25)
    assert (found.interval, found.protocol, found.score_name) == (None, "heareval", "top1_acc")


def test_a_robust_result_is_read_with_its_interval(scored):
    robust = {"mean": 0.4, "interval": [0.3, 0.5], "method": "m"}
    found = read_result(scored(robust=robust, settings={"protocol": "robust", "seeds": 3}))
    assert (found.task, found.score, found.interval) == ("tones-1.0.0-small", 0.4, (0.3, 0.5))
    assert found.describe() == "0.400 [0.300, 0.500]"


def test_an_interval_that_is_not_estimable_is_said_to_be(scored):
    robust = {"mean": 0.4, "interval": None}
    found = read_result(scored(robust=robust, settings={"protocol": "robust"}))
    assert found.interval is None
    assert found.describe() == "0.400 [not estimable]"
    assert "| 0.400 | not estimable |" in text.card(make_leaderboard([found]), found.model)


def test_json_holds_everything_but_the_single_runs(scored):
    shown = read_result(scored(score=0.25)).as_json()
    expected = "model task score_name score interval protocol parts settings maximised origin"
    assert list(shown) == expected.split()


def test_folds_are_averaged_as_heareval_does(scored):
    folder = scored()
    scores = {"aggregated_scores": {"test_score_mean": 0.7, "test_score_std": 0.1}}
    (folder / "test.predicted-scores.json").write_text(json.dumps(scores))
    assert read_result(folder).score == 0.7
    (folder / "test.predicted-scores.json").write_text("{}")
    with pytest.raises(TaskError, match="key 'test' is missing; evaluate again"):
        read_result(folder)


def test_results_are_found_below_a_folder(scored, make_embeddings, tmp_path):
    scored("one")
    scored("two")
    make_embeddings("unfinished")
    found = collect_results([tmp_path / "embeddings"])
    assert sorted(r.model for r in found) == ["one", "two"]
    with pytest.raises(TaskError, match="no finished evaluation at or below it"):
        collect_results([tmp_path / "embeddings/unfinished"])


def test_two_results_of_one_model_on_one_task_are_refused(scored, tmp_path):
    scored("one").rename(tmp_path / "embeddings/one/again")
    scored("one", task_name="esc50", mode="full")
    (tmp_path / "embeddings/one/again/task_metadata.json").write_bytes(
        (tmp_path / "embeddings/one/tones-1.0.0-small/task_metadata.json").read_bytes()
    )
    with pytest.raises(InputError, match=r"two results of one on ESC-50 \(heareval protocol\)"):
        collect_results([tmp_path / "embeddings"])


def test_the_parts_of_a_published_task_are_one_result(scored, tmp_path):
    first = scored("one", score=0.4, task_name="beehive_states_fold0", mode="full")
    first.rename(first.with_name("fold0"))
    (alone,) = collect_results([tmp_path / "embeddings"])
    assert alone.task == "Beehive States (beehive_states_fold0 only)"
    scored("one", score=0.6, task_name="beehive_states_fold1", mode="full")
    (both,) = collect_results([tmp_path / "embeddings"])
    assert (both.task, both.score, both.interval) == ("Beehive States", pytest.approx(0.5), None)


def test_official_scores_are_read_by_published_name(official):
    assert official.scores["ESC-50"] == {"Low": 0.2, "High": 0.8, "Middle": 0.5}
    assert official.scores["DCASE 2016 Task 2"] == {"High": 0.9, "Middle": 0.4}
    assert official.scores["Mystery"] == {"Low": 0.5, "Middle": 0.1}
    assert official.column("DCASE 2016 Task 2") == "DCASE 2016"
    assert official.column("FSD50K") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,score\na,1\n", "not the official leaderboard"),
        ("Model,URL\na,b\n", "not the official leaderboard"),
        ("Model,ESC-50\na,high\n", r"line 2, column 'ESC-50' holds 'high'"),
        ("Model,ESC-50\na,0.5\n\n,\nb,nan\n", r"line 5, column 'ESC-50' holds 'nan'"),
        ("Model,ESC-50\na,-inf\n", r"line 2, column 'ESC-50' holds '-inf'"),
        ("Model,ESC-50\n\na,0.5,0.6\n", r"line 3 has more cells than the header"),
        ("Model,ESC-50\n,0.5\n", r"line 2 names no model"),
        (None, "cannot be read"),
    ],
)
def test_another_table_is_refused(tmp_path, content, message):
    path = tmp_path / "official.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_official(path)


def test_blank_lines_of_the_official_leaderboard_are_skipped(tmp_path):
    path = tmp_path / "official.csv"
    path.write_text("\ufeff" + OFFICIAL.replace("\n", "\n\n,,,,,\n"), encoding="utf-8")
    assert read_official(path).scores["ESC-50"] == {"Low": 0.2, "High": 0.8, "Middle": 0.5}
    assert len(read_official(path).rows) == 3


def test_normalised_scores_lie_between_the_submissions(official):
    board = make_leaderboard([result()], official)
    assert board.normalized("ESC-50", 0.2) == 0
    assert board.normalized("ESC-50", 0.8) == pytest.approx(1)
    assert board.normalized("ESC-50", 0.95) == pytest.approx(1.25)
    assert board.rank("ESC-50", 0.6) == (2, 4)
    assert board.rank("ESC-50", 0.9) == (1, 4)
    assert board.best_official("ESC-50") == ("High", 0.8)


def test_without_submissions_a_score_stands_for_itself():
    board = make_leaderboard([result()])
    assert board.normalized("ESC-50", 0.6) == 0.6
    assert board.normalized("events", 0.3, higher_is_better=False) == pytest.approx(0.7)
    assert board.normalized("events", 1.3, higher_is_better=False) == 0
    assert board.rank("ESC-50", 0.6) is None


def test_models_come_by_mean_and_tasks_in_the_published_order():
    results = [result("a", "zebra", 0.9), result("a", "ESC-50", 0.1), result("b", "ESC-50", 0.8)]
    results += [result("b", "DCASE 2016 Task 2", 0.7), result("b", "zebra", math.nan)]
    board = make_leaderboard(results)
    assert board.tasks == ("DCASE 2016 Task 2", "ESC-50", "zebra")
    assert board.models == ("b", "a")
    assert board.mean("b") == (pytest.approx(0.75), 2)


def test_a_model_that_skipped_tasks_does_not_lead():
    results = [result("a", "x", 0.5), result("a", "y", 0.3), result("b", "x", 0.6)]
    assert make_leaderboard(results).models == ("a", "b")


def test_protocols_are_kept_apart():
    board = make_leaderboard([result(), result(protocol="official", interval=None, score=0.5)])
    assert board.models == ("ours", "ours (official)")


def test_markdown_shows_intervals_places_and_the_best(official):
    results = [result("a"), result("b", score=0.7), result("a", "own|task", 0.3)]
    lines = text.as_markdown(make_leaderboard(results, official)).splitlines()
    assert lines[0].startswith("| task | score | b | a | best official submission |")
    assert lines[2] == (
        "| ESC-50 | top1_acc | **0.700 [0.600, 0.800]** (2 of 4) | 0.600 [0.500, 0.700] (2 of 4) "
        "| 0.800 High |"
    )
    assert lines[3] == r"| own\|task | top1_acc | - | 0.300 [0.200, 0.400] | - |"
    assert lines[4].startswith("| mean normalised |  | 0.833 (1 task) | 0.667 (1 task) |")
    assert "95 % interval" in lines[-1]
    assert "lowest and 1 the highest official submission" in lines[-1]


def test_a_board_that_shares_no_task_with_the_official_one_has_no_mean(official):
    board = make_leaderboard([result(task="own")], official)
    assert "| mean normalised |  | - |  |" in text.as_markdown(board)


def test_less_is_better_where_errors_are_counted():
    errors = {"task": "events", "score_name": "segment_1s_er", "higher_is_better": False}
    board = make_leaderboard([result("a", score=0.3, **errors), result("b", score=0.6, **errors)])
    assert board.models == ("a", "b")
    assert "| **0.300 " in text.as_markdown(board)


def test_the_csv_continues_the_official_one(official):
    board = make_leaderboard([result(), result(task="other", score=math.nan)], official)
    rows = list(csv.DictReader(io.StringIO(text.as_csv(board))))
    assert list(rows[0]) == [*OFFICIAL.splitlines()[0].split(","), "other"]
    assert (rows[0]["Model"], rows[0]["ESC-50"], rows[0]["other"]) == ("ours", "0.6", "")
    assert [row["Model"] for row in rows[1:]] == ["Low", "High", "Middle"]
    assert rows[2]["DCASE 2016"] == "0.9"


def test_a_card_says_how_to_get_the_same_numbers():
    origin = {
        "module": "wav2hear",
        "version": "1.2",
        "model": "large",
        "options": {"layer": 6},
        "sample_rate": 16000,
        "sizes": {"scene": 512, "timestamp": 512},
        "provenance": {"weights_sha256": {"muq": "abc"}, "sources": ["muq", "musicfm"]},
    }
    settings = {"protocol": "robust", "grid": "fast", "grid_points": 4, "seeds": 2}
    section = text.card(make_leaderboard([result(provenance=origin, settings=settings)]), "ours")
    assert "| ESC-50 | top1_acc | 0.600 | 0.500 to 0.700 |" in section
    assert "- Module: wav2hear 1.2" in section
    assert "- Provenance: weights_sha256 (muq abc), sources muq + musicfm" in section
    assert (
        "`hear-aesthetics evaluate TASKS --out embeddings --module wav2hear --model large "
        "--model-options '{\"layer\": 6}' --protocol robust --grid fast --grid-points 4 --seeds 2`"
    ) in section


def test_a_card_of_the_official_kit_names_its_command():
    board = make_leaderboard([result(protocol="heareval", interval=None)])
    section = text.card(board, "ours (heareval)")
    assert "python -m heareval.predictions.runner embeddings/ours/*" in section


@pytest.mark.parametrize("joined", [True, False])
def test_the_picture_shows_every_model(tmp_path, official, joined, saved_figures, check_layout):
    results = [result(), result("other", score=0.9), result(task="DCASE 2016 Task 2", score=0.1)]
    board = make_leaderboard(results, official if joined else None)
    draw_leaderboard(tmp_path / "board.png", board)
    pixels = image.imread(tmp_path / "board.png")
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels[..., :3].reshape(-1, 3), axis=0)) > 100
    assert set(board.models) <= set(check_layout(saved_figures[0]))


def test_the_picture_shows_intervals_as_they_are_in_one_font(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    board = make_leaderboard([result(score=0.489, interval=(0.333, 0.644))])
    draw_leaderboard(tmp_path / "board.png", board)
    cells, bar = figures[0].axes
    assert [written.get_text() for written in cells.texts] == ["0.489\n[0.333, 0.644]"]
    figures[0].canvas.draw()
    ticks = [label.get_text() for label in bar.get_yticklabels()]
    assert "1.0" in ticks
    assert not any("$" in tick for tick in ticks), "set as mathematics"


def test_an_interval_fits_its_cell(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    draw_leaderboard(tmp_path / "board.png", make_leaderboard([result(score=-0.456)]))
    (cells, _), renderer = figures[0].axes, figures[0].canvas.get_renderer()
    assert cells.texts[0].get_window_extent(renderer).width < cells.get_window_extent().width


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("test.predicted-scores.json", "[1]"),
        ("test.predicted-scores.json", '{"test": 3}'),
        ("test.predicted-scores.json", '{"test": {"test_score": "x"}}'),
        ("test.robust-scores.json", '{"mean": 0.5}'),
        ("test.robust-scores.json", '{"mean": 0.5, "interval": [0.1]}'),
        ("test.robust-scores.json", '{"mean": null, "interval": [0.1, 0.9]}'),
        ("test.robust-scores.json", "[]"),
    ],
)
def test_a_broken_result_is_named_and_the_others_count(scored, tmp_path, file, content):
    scored("good")
    (scored("bad") / file).write_text(content)
    failures = []
    found = collect_results([tmp_path / "embeddings", tmp_path / "nowhere"], failures.append)
    assert [r.model for r in found] == ["good"]
    assert [
        str(tmp_path / place) in str(f)
        for place, f in zip(("embeddings/bad", "nowhere"), failures, strict=True)
    ] == [True, True]
    with pytest.raises(TaskError, match=r"evaluate again"):
        collect_results([tmp_path / "embeddings"])


@pytest.mark.parametrize("mark", ["[1]", '{"settings": null}', '{"settings": {"protocol": []}}'])
def test_a_mark_of_another_kind_costs_nothing(scored, mark):
    folder = scored()
    (folder / "prediction-done.json").write_text(mark)
    assert read_result(folder).score == 0.5


@pytest.mark.parametrize(
    "origin",
    [
        "[1]",
        "{}",
        '{"module": "m"}',
        '{"provenance": null}',
        '{"fingerprint": {}, "provenance": {"module": "m", "sample_rate": 1}}',
        '{"module": "m", "sample_rate": 1, "sizes": {}, "options": [], "model": null}',
    ],
)
def test_an_origin_without_what_a_card_shows_is_left_out(scored, origin):
    folder = scored()
    (folder / "origin.embeddings.json").write_text(origin)
    board = make_leaderboard([read_result(folder)])
    assert "- Module: levels\n" in text.card(board, board.models[0])


@pytest.mark.parametrize("recorded", [True, False])
def test_the_origin_is_told_also_by_an_earlier_version(scored, recorded):
    told = {"module": "m", "version": None, "sample_rate": 16000, "sizes": {"scene": 3}}
    told |= {"model": None, "options": {}, "provenance": {"status": "untrained"}}
    folder = scored()
    record = {"fingerprint": {"x": 1}, "provenance": told} if recorded else told
    (folder / "origin.embeddings.json").write_text(json.dumps(record))
    assert read_result(folder).provenance == told


@pytest.mark.parametrize("name", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_cells_are_no_formulas(name):
    board = make_leaderboard([result(name, "=task")])
    header, row = csv.reader(io.StringIO(text.as_csv(board), newline=""))
    assert row[0][0] == ("\\" if name[0].isspace() else "'")
    assert header[-1] == "'=task"
    assert row[-1] == "0.6"


def test_a_negative_score_stays_a_number_in_the_csv():
    board = make_leaderboard([result(score=-0.25)])
    assert list(csv.reader(io.StringIO(text.as_csv(board))))[1][-1] == "-0.25"


def test_names_are_no_markup():
    hostile = "<script>x</script> [a](http://b)\n# `c` \u202e\x1b[31m"
    origin = {"module": hostile, "model": hostile, "options": {}, "sample_rate": 1, "sizes": {}}
    origin["provenance"] = {hostile: hostile}
    found = [result(hostile, hostile, provenance=origin, settings={"protocol": "robust"})]
    board = make_leaderboard(found)
    card, code = text.card(board, hostile).split("- Reproduce: ")
    assert code.startswith("`` ")
    assert code.count("\n") == 1
    for shown in (text.as_markdown(board), card):
        assert r"\<script" in shown
        assert not any(sign in shown for sign in (" <script", "[a](http", "\n# ", "\u202e", "\x1b"))
