"""Data of a run: what it says of its origin."""

from songeval_task.data.prepared import read_prepared, write_prepared
from songeval_task.training.config import SongEvalConfig
from songeval_task.training.data import load_data


def test_a_run_on_simulated_ratings_says_so(folders, tmp_path):
    """A head keeps what its data say of their origin; its scores are called demo for it."""
    config = SongEvalConfig()
    assert "ratings" not in load_data(*folders, config).provenance
    songs = read_prepared(folders.prepared).songs
    write_prepared(tmp_path / "simulated", tmp_path, songs, [], {"ratings": "simulated"})
    found = load_data(tmp_path / "simulated", folders.features, config)
    assert found.provenance["ratings"] == "simulated"
