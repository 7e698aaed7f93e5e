"""What do four judges cost in one run, and what in a run of their own each?

A run loads its judges and scores the same songs from files. All weights are seeded, in the
published layouts and, without ``--quick``, of the published sizes. Counted are files that are
opened for decoding, and the seconds of audio that go through each kind of encoder. The fused
feature of a song takes a pass over the track and, beyond 30 s, one over its segments, of two
encoders each; a hidden state of MuQ takes one pass, MuQ-Eval 10 s of MuQ.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.common.published import encoder_tensors
from benchmarks.throughput import write_files
from heads import (
    AestheticHead,
    AestheticHeadConfig,
    AudioboxConfig,
    AudioboxHead,
    MuQEvalConfig,
    MuQEvalHead,
    SongEvalBaselineConfig,
    SongEvalBaselineHead,
)
from heads.audiobox import AXES, FIXED
from hear_aesthetics.audio import decoding
from hear_aesthetics.backbones import MelStatistics
from hear_aesthetics.backbones.conformer import ConformerConfig, ConformerEncoder
from hear_aesthetics.backbones.encoders import FRONT_END
from hear_aesthetics.spec import FRAME_RATE
from songeval_task import AestheticScorer
from songeval_task.scoring.judges.wavlm import PREFIX, WavLM, published_names
from songeval_task.scoring.scorer import AudioSpan

__all__ = ["measure", "write_weights"]

JUDGES = ("track2", "audiobox", "muq-eval", "songeval")
SONGS = 20
SECONDS, QUICK_SECONDS = (30.0, 60.0), (12.0, 16.0)  # shortest and longest song
QUICK = ConformerConfig(dim=64, depth=12, heads=4, ffn_dim=128, conv_channels=16)
QUICK_WAVLM = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
WAVLM_RATE = 16_000


@dataclass
class Counts:
    """What a run used.

    Attributes:
        seconds: Time, loading included.
        loading: Part of it that loads the judges.
        decodings: Files that were opened.
        conformers: Seconds of audio through MuQ and MusicFM.
        wavlm: Seconds of audio through WavLM.
    """

    seconds: float = 0.0
    loading: float = 0.0
    decodings: int = 0
    conformers: float = 0.0
    wavlm: float = 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )


def write_weights(home: Path, *, quick: bool) -> None:
    """Write the seeded files of the pair and of all judges, as ``HEAR_AESTHETICS_HOME``."""
    config = QUICK if quick else ConformerConfig()
    muq = {f"model.{n}": t for n, t in encoder_tensors(1, config, projection=8192).items()}
    musicfm = {f"model.{n}": t for n, t in encoder_tensors(0, config).items()}
    mel = MelStatistics()
    statistics = {"melspec_2048_mean": mel.mean, "melspec_2048_std": mel.std}
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"dim": 32, "ffn_dim": 64, "projection_dim": 64} if quick else {}
    track2 = AestheticHead(AestheticHeadConfig(feature_dim=4 * config.dim, **sizes))
    sizes = {"dim": config.dim, "ffn_dim": 64} if quick else {}
    songeval = SongEvalBaselineHead(SongEvalBaselineConfig(**sizes))
    judge = MuQEvalHead(MuQEvalConfig(dim=config.dim)).published_state_dict()
    judge |= {f"encoder.encoder.{name}": tensor for name, tensor in muq.items()}
    for folder in ("muq", "musicfm-msd", "hear-track2", "songeval", "muq-eval", "audiobox"):
        (home / folder).mkdir(parents=True)
    (home / "muq" / "config.json").write_text(json.dumps({**FRONT_END, "stat": statistics}))
    save_file(muq, home / "muq" / "model.safetensors")
    (home / "musicfm-msd" / "msd_stats.json").write_text(json.dumps(statistics))
    torch.save({"state_dict": musicfm}, home / "musicfm-msd" / "pretrained_msd.pt")
    torch.save(track2.published_state_dict(), home / "hear-track2" / "track_2.pth")
    save_file(songeval.published_state_dict(), home / "songeval" / "model.safetensors")
    torch.save(judge, home / "muq-eval" / "model_state_dict.pt")
    _write_audiobox(home / "audiobox", QUICK_WAVLM if quick else {})


def _write_audiobox(folder: Path, sizes: Mapping[str, Any]) -> None:
    from transformers import WavLMConfig, WavLMModel

    wavlm = WavLMModel(WavLMConfig(**sizes))
    state, depth = wavlm.state_dict(), wavlm.config.num_hidden_layers
    tensors = {PREFIX + name: state[ours] for name, ours in published_names(depth).items()}
    config = AudioboxConfig(states=depth + 1, dim=wavlm.config.hidden_size)
    tensors |= AudioboxHead(config).state_dict()
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
    )
    scales = zip(AXES, config.mean, config.std, strict=True)
    known = {
        **FIXED,
        "precision": "32",
        "nth_layer": config.states,
        "proj_num_layer": config.layers,
        "target_transform": {axis: {"mean": mean, "std": std} for axis, mean, std in scales},
    }
    (folder / "config.json").write_text(json.dumps(known))


@contextmanager
def counting() -> Iterator[Counts]:
    """Count decodings and audio through encoders while this is entered."""
    counts, opened = Counts(), decoding.open_decoder

    def count_opened(*args: Any, **options: Any) -> Any:
        counts.decodings += 1
        return opened(*args, **options)

    def count_encoded(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, ConformerEncoder):
            counts.conformers += len(inputs[0]) * inputs[0].shape[1] / FRAME_RATE
        elif isinstance(module, WavLM):
            counts.wavlm += inputs[0].numel() / WAVLM_RATE

    hook = register_module_forward_pre_hook(count_encoded)
    try:
        with patch("hear_aesthetics.audio.loading.open_decoder", count_opened):
            yield counts
    finally:
        hook.remove()


def score(judges: Sequence[str], files: Sequence[Path]) -> tuple[Counts, Tensor]:
    """Load judges and score files; return what it took, and the scores by judge and dimension."""
    with counting() as counts:
        started = time.perf_counter()
        scorer = AestheticScorer.from_pretrained(*judges, model="large", device="cpu")
        counts.loading = time.perf_counter() - started
        results = list(scorer.score_files([AudioSpan(path) for path in files]))
        counts.seconds = time.perf_counter() - started
    errors = [result.error for result in results if result.error]
    if errors:
        raise errors[0]
    return counts, torch.tensor([list(result.output.values.values()) for result in results])


def measure(quick: bool) -> BenchmarkReport:
    """Compare one run of four judges with a run of each."""
    shortest, longest = QUICK_SECONDS if quick else SECONDS
    lengths = torch.linspace(shortest, longest, SONGS).tolist()
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ):
        os.environ["HEAR_AESTHETICS_HOME"] = f"{folder}/home"
        write_weights(Path(folder, "home"), quick=quick)
        songs = Path(folder, "songs")
        songs.mkdir()
        files = write_files(songs, lengths)
        score(JUDGES, files[:1])  # hashes and compares the weights, makes the kernels
        together, scores = score(JUDGES, files)
        alone = {judge: score([judge], files) for judge in JUDGES}
    separate = sum((counts for counts, _ in alone.values()), Counts())
    runs = {"four judges in one run": together}
    runs |= {f"{judge} alone": counts for judge, (counts, _) in alone.items()}
    runs["the four runs"] = separate
    rows = [
        {
            "": name,
            "seconds": counts.seconds,
            "of it loading": counts.loading,
            "decodings": counts.decodings,
            "MuQ and MusicFM, s of audio": round(counts.conformers),
            "WavLM, s of audio": round(counts.wavlm),
        }
        for name, counts in runs.items()
    ]
    difference = (scores - torch.cat([found for _, found in alone.values()], dim=1)).abs().max()
    return BenchmarkReport(
        title=f"{SONGS} songs, {'small' if quick else 'full-size'} judges with seeded weights",
        rows=rows,
        ratio=separate.seconds / together.seconds,
        max_difference=float(difference),
        targets={
            "each file is decoded once": together.decodings == SONGS,
            "one run is no slower than four": together.seconds <= separate.seconds,
        },
        notes=[
            f"songs of {shortest:g} to {longest:g} s, stereo, 44.1 kHz: {sum(lengths):.0f} s",
            "difference: the largest between scores in one run and alone, in points",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("scoring.judges", measure))
