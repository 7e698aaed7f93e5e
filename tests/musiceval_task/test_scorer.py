"""`score` gains MusicImpression and TextAlignment where a MusicEval head is given."""

import json
from pathlib import Path

import pytest
import torch

from heads import DualBranchHead
from hear_aesthetics.cli import main
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.features.fusion import Features, HiddenState
from hear_aesthetics.scorers import hidden_states, load_scorer, reads_of, scorer_names
from musiceval_task.data.dataset import read_clips
from musiceval_task.features.states import AudioEncoder, StateStore
from musiceval_task.features.text import TextEncoder
from musiceval_task.predictions import read_predictions
from musiceval_task.scorer import VARIABLE, MusicEvalScorer, load_default
from musiceval_task.scorer import load_scorer as load_run_scorer
from musiceval_task.training.loop import TrainingConfig
from musiceval_task.training.members import MEMBERS, head_config
from musiceval_task.training.runs import Encoders, encode, train_run

COLUMNS = ["MusicImpression", "TextAlignment"]


@pytest.fixture(scope="module")
def run(small_set: Path, roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scorer")
    encoders = Encoders(AudioEncoder("mini"), TextEncoder(roberta), StateStore(folder / "states"))
    clips = read_clips(small_set)
    config = TrainingConfig(epochs=1, inner_share=0.5)
    examples = encode(clips, encoders)
    train_run(folder / "run", MEMBERS["gaussian-1984"], config, clips, examples, encoders)
    return folder / "run"


def score(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[list[dict], str, int]:
    with pytest.raises(SystemExit) as exit_:
        main(["score", "--json", "--model", "mini", *args])
    said = capsys.readouterr()
    return (json.loads(said.out) if said.out else []), said.err, int(exit_.value.code or 0)


def test_a_run_folder_is_a_head_and_scores_as_it_predicted(
    run: Path, small_set: Path, capsys
) -> None:
    predictions = read_predictions(run)
    clip = read_clips(small_set, ["test"])[0]
    rows, _, code = score(capsys, str(clip.path), "--prompt", clip.prompt, "--head", str(run))
    assert code == 0
    expected = predictions.scores[predictions.clips.index(clip.name)]
    assert [rows[0][name] for name in COLUMNS] == pytest.approx(expected, abs=2e-3)


def test_its_columns_stand_beside_those_of_other_heads(run: Path, small_set: Path, capsys) -> None:
    clip = read_clips(small_set)[0]
    given = ("--head", "demo", "--head", str(run), "--prompt", "a slow waltz")
    rows, _, code = score(capsys, str(clip.path), *given)
    assert code == 0
    assert {"Coherence", *(f"run:{name}" for name in COLUMNS)} <= set(rows[0])


def test_a_prompt_column_gives_each_clip_its_own(run: Path, small_set: Path, tmp_path, capsys):
    clip = read_clips(small_set)[0]
    copy = tmp_path / "copy.wav"
    copy.write_bytes(clip.path.read_bytes())
    rows = [
        {"path": str(clip.path), "prompt": "a slow waltz"},
        {"path": str(copy), "prompt": "solo flute"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found, _, code = score(capsys, str(tmp_path / "rows.jsonl"), "--head", str(run))
    assert code == 0
    first, second = found
    assert first["MusicImpression"] == pytest.approx(second["MusicImpression"], abs=1e-5)
    assert first["TextAlignment"] != second["TextAlignment"]


def test_without_a_prompt_a_clip_is_one_error_row(run: Path, small_set: Path, capsys) -> None:
    clip = read_clips(small_set)[0]
    rows, said, code = score(capsys, str(clip.path), "--head", str(run))
    assert code == 1
    assert rows[0]["status"] == "error"
    assert f"{clip.path}: no prompt to align with; give --prompt or a prompt column" in said


def test_the_installed_scorer_reads_the_folder_that_the_variable_names(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "musiceval" in scorer_names()
    monkeypatch.setenv(VARIABLE, str(run))
    scorer = load_scorer("musiceval")
    assert list(scorer.columns) == COLUMNS
    assert hidden_states(reads_of(scorer)) == (HiddenState("muq", 6),)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(InputError, match=f"set {VARIABLE} to its folder"):
        load_default()


def test_each_prompt_is_encoded_once(run: Path) -> None:
    scorer = load_run_scorer(run)
    features = Features(torch.empty(1, 0, 0), {HiddenState("muq", 6): torch.randn(1, 20, 160)})
    for prompt in ("a", "b", "a"):
        scorer(features, {"path": "x", "prompt": prompt})
    assert scorer.text.encoded == 2


def test_states_of_another_model_are_refused(run: Path) -> None:
    features = Features(torch.empty(1, 0, 0), {HiddenState("muq", 6): torch.randn(1, 20, 64)})
    with pytest.raises(InputError, match=r"x: states 64 wide, .* takes 160; choose model mini"):
        load_run_scorer(run)(features, {"path": "x", "prompt": "a"})


def test_another_text_encoder_is_refused(run: Path, tmp_path: Path) -> None:
    from musiceval_task.features.tiny_text import write_tiny_roberta
    from musiceval_task.training.runs import load_run

    other = TextEncoder(write_tiny_roberta(tmp_path, ["a"], dim=16, layers=1, seed=7))
    with pytest.raises(CheckpointError, match="not the text encoder that this head was trained"):
        MusicEvalScorer(load_run(run), other)


def test_provenance_says_what_it_was_trained_on(run: Path) -> None:
    scorer = load_run_scorer(run)
    assert scorer.provenance()["member"]["name"] == "gaussian-1984"
    assert scorer.demo == (scorer.provenance()["model_status"] == "untrained")


def test_its_fingerprint_is_of_its_weights_and_its_text_encoder(run: Path) -> None:
    scorer, again = load_run_scorer(run), load_run_scorer(run)
    assert again.fingerprint() == scorer.fingerprint()
    assert scorer.fingerprint()["text_encoder"] == scorer.text.sha256
    with torch.no_grad():
        next(scorer.head.parameters()).add_(1)
    assert again.fingerprint() != scorer.fingerprint()


def test_a_head_of_the_published_recipe_is_referred_to_predict(roberta: Path) -> None:
    """It reads clips of 30 s and goes by batches, which `score` does not."""
    head = DualBranchHead(head_config(MEMBERS["coral"], 128, 16, "published"))
    with pytest.raises(CheckpointError, match="take `musiceval predict` for it"):
        MusicEvalScorer(head, TextEncoder(roberta))
