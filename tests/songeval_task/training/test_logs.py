"""What a run tells: a table that holds nothing twice, events, and a line on a terminal only."""

import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from songeval_task.training.logs import Logs, ProgressLine

ROWS = [{"epoch": n, "update": 10 * n, "loss": 1 / n, "lcc": 0.1 * n, "srcc": 0.2} for n in (1, 2)]


def test_the_table_holds_the_history_once_however_often_it_is_written(tmp_path):
    logs = Logs(tmp_path, events=False)
    logs.record(ROWS[:1])
    logs.record(ROWS)
    logs.record(ROWS)
    assert pd.read_csv(tmp_path / "log.csv").to_dict("records") == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_metrics_become_events_at_their_update(tmp_path):
    logs = Logs(tmp_path)
    logs.record(ROWS[:1])
    logs.record(ROWS)
    logs.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("lcc")] == [10, 20]


def test_the_line_shows_metrics_on_a_terminal_and_nothing_elsewhere(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the captured stream for a terminal
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    row = {"lcc": 0.5, "srcc": 0.4, "score": 0.45}
    for shown in (False, True):
        with ProgressLine(3, shown) as line:
            line.evaluated(row, best=0.45)
            line.step(epoch=1, done=4, updates=8, loss=0.3)
        error = capsys.readouterr().err
        assert ("lcc 0.500 srcc 0.400 score 0.450 best 0.450" in error) == shown
        assert ("loss 0.300" in error) == shown
