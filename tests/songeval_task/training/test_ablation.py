"""The ablation: its rows, the published table, and one whole run on a tiny set."""

import json

import numpy as np
import pandas as pd
import pytest

from hear_aesthetics.files import json_text
from hear_aesthetics.plotting.style import WIDTH
from songeval_task.dimensions import TRACKS
from songeval_task.protocol import METRICS, SongPredictions
from songeval_task.reports.ablation import ROWS, published_figures, run_ablation, summarize
from songeval_task.reports.ablation_plot import draw_ablation
from songeval_task.training.config import SongEvalConfig


def test_the_rows_are_those_of_the_published_table_in_its_order():
    for track in TRACKS:
        assert [row.name for row in ROWS] == list(published_figures(track))
    assert published_figures("track1")["MMR+HAS+Ltotal"]["lcc"] == 0.920
    assert published_figures("track2")["baseline"]["tta"] == 0.826


def test_each_part_turns_on_what_it_names():
    base = SongEvalConfig()
    configs = {row.name: row.config(base, "muq_06") for row in ROWS}
    assert (configs["baseline"].features, configs["MMR"].features) == ("muq_06", "fused")
    assert not configs["MMR"].mixup
    assert configs["HAS"].mixup
    assert configs["HAS"].augmented
    assert (configs["HAS"].ranking, configs["HAS"].regression) == (0.0, "mse")
    assert (configs["Ltotal"].ranking, configs["Ltotal"].regression) == (0.05, "smooth_l1")
    assert configs["MMR+HAS+Ltotal"] == base


def test_a_row_is_the_mean_over_its_seeds():
    rng = np.random.default_rng(0)
    target = rng.uniform(1, 5, (30, 5))
    runs = [
        SongPredictions(
            tuple(map(str, range(30))),
            ("",) * 30,
            target + rng.normal(size=target.shape) * noise,
            target,
            TRACKS["track2"],
        )
        for noise in (0.3, 1.0)
    ]
    found = summarize({ROWS[0].name: runs[1:] * 2, "MMR": runs})
    for metric in METRICS:
        value, low, high = found["MMR"]["value"][metric]
        assert value == pytest.approx(np.mean(found["MMR"]["seeds"][metric]))
        assert low < value < high
    assert found["MMR"]["difference"]["lcc"][1] > 0
    same = found[ROWS[0].name]["difference"]["lcc"]
    np.testing.assert_array_equal(same, [0.0, np.nan, np.nan])


def test_the_picture_fits_a_column_and_no_text_covers_another(
    tmp_path, saved_figures, check_layout
):
    triple = dict.fromkeys(METRICS, (0.8, 0.7, 0.85))
    seeds = dict.fromkeys(METRICS, (0.78, 0.82))
    figures = {
        track: {row.name: {"value": triple, "seeds": seeds} for row in ROWS} for track in TRACKS
    }
    draw_ablation(
        tmp_path / "a.png", figures, {track: published_figures(track) for track in TRACKS}
    )
    (figure,) = saved_figures
    assert figure.get_figwidth() <= WIDTH
    assert {"track1", "track2", "LCC", "MMR+HAS+Ltotal"} <= set(check_layout(figure))


@pytest.mark.slow
def test_an_ablation_writes_its_table_and_goes_on_where_it_was(folders, tmp_path):
    base = SongEvalConfig(head_size="small", epochs=1, learning_rate=1e-3, precision="float32")
    options = {"tracks": ["track1", "track2"], "seeds": 2, "state": "muq_02"}
    figures = run_ablation(base, *folders, tmp_path, **options)
    weights = tmp_path / "track1" / "MMR+HAS" / "seed1" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = run_ablation(base, *folders, tmp_path, **options)
    assert json_text(again) == json_text(figures)  # NaN, where there is no interval, is not itself
    assert weights.stat().st_mtime_ns == before
    written = json.loads((tmp_path / "ablation.json").read_text())
    assert json_text(written["tracks"]) == json_text(figures)
    assert "jackknife" in written["method"]
    table = pd.read_csv(tmp_path / "ablation.csv")
    assert len(table) == 16
    assert list(table["lcc published"])[-1] == 0.912
    page = (tmp_path / "ablation.md").read_text()
    assert page.count("MMR+HAS+Ltotal") == 4
    assert (tmp_path / "ablation.png").stat().st_size > 10_000
