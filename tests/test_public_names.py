"""Public names stay where the documentation says they are, wherever their code moves."""

import importlib

import pytest

PUBLIC = {
    "hear_aesthetics": "__version__ get_scene_embeddings get_timestamp_embeddings load_model",
    "hear_aesthetics.adapters.marble": "HearAestheticsEncoder",
    "hear_aesthetics.adapters.xares": "HearAestheticsEncoder",
    "hear_aesthetics.audio": "AUDIO_EXTENSIONS AudioInfo audio_info load_audio resample",
    "hear_aesthetics.backbones": "MuQ MusicFM",
    "hear_aesthetics.distributed": "Embedder Scorer",
    "hear_aesthetics.engine": "run",
    "hear_aesthetics.engine.inputs": "Input",
    "hear_aesthetics.evaluation": "evaluate_embeddings",
    "hear_aesthetics.metrics": "confidence_interval ktau lcc mse paired_interval srcc system_means "
    "top_tier_f1",
    "hear_aesthetics.synthesis": "compose demo_song render",
    "heads": "AestheticHead AttentivePooling CMixupSampler DualBranchHead MQMHASTP "
    "SongEvalBaselineHead hybrid_loss list_mle",
    "songeval_task.adapters.cmi_rewardbench": "HearAestheticsRewardModel",
    "songeval_task.adapters.versa": "HearAestheticsMetric",
    "songeval_task": "AestheticScorer RemoteScorer Scores",
    "musiceval_task": "MusicEvalScorer load_scorer",
}


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in PUBLIC.items() for name in names.split()],
)
def test_a_public_name_is_where_it_is_documented(module: str, name: str) -> None:
    found = importlib.import_module(module)
    assert hasattr(found, name)
    assert name in found.__all__


def test_a_name_that_is_not_there_is_refused_by_its_package() -> None:
    with pytest.raises(AttributeError, match="'hear_aesthetics' has no attribute 'nothing'"):
        importlib.import_module("hear_aesthetics").nothing  # noqa: B018
