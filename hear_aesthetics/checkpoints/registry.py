"""Registry of published checkpoints: source, files, sizes, hashes and licences of each.

Sizes are bytes. A hash, size or revision that nobody could check is None and is said to be unknown;
it is never guessed. ``commercial`` is True, False, or None where the licence does not say.
"""

from dataclasses import dataclass, replace
from typing import Literal

from hear_aesthetics.errors import InputError

__all__ = ["CHECKPOINTS", "REPOS", "Checkpoint", "RemoteFile", "by_name", "by_repo"]

Kind = Literal["model", "encoder", "head", "text encoder"]
Status = Literal["published", "trained on synthetic music"]


@dataclass(frozen=True)
class RemoteFile:
    """File of a checkpoint: its name in the repository, bytes, and sha256; None is unknown."""

    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint with a name on the command line.

    Attributes:
        name: Its name on the command line and in ``load_model``.
        kind: "model" for ``load_model``; the others are parts.
        repo: Repository on the Hugging Face hub; None for what is not there.
        revision: Commit the files are pinned to; None where no commit could be checked.
        folder: Subfolder of a model directory that holds it ("" for what is no part of one).
        parts: Checkpoints that make up a model; empty for a single checkpoint or a bundled model.
        instructions: How to get what is not on the hub.
        fair: Data on which its results may fairly be reported.
    """

    name: str
    kind: Kind
    description: str
    files: tuple[RemoteFile, ...] = ()
    repo: str | None = None
    revision: str | None = None
    folder: str = ""
    parts: tuple[str, ...] = ()
    weights_licence: str = "not stated"
    code_licence: str = "not stated"
    commercial: bool | None = None
    status: Status = "published"
    notes: str = ""
    instructions: str = ""
    url: str = ""
    citation: str = ""
    fair: str = ""

    @property
    def size(self) -> int | None:
        """Bytes of all files, parts included; None when one of them is unknown or there is none."""
        sizes = [file.size for file in self.files] + [by_name(part).size for part in self.parts]
        return sum(size or 0 for size in sizes) if sizes and None not in sizes else None


_ANY_LABELLED = "any labelled task: pretrained without labels on the"

_MUSICFM = Checkpoint(
    name="musicfm-msd",
    kind="encoder",
    description="MusicFM, Million Song Dataset: 12 conformer layers, 328,932,480 parameters",
    repo="minzwon/MusicFM",
    revision="4513b38bc25ad1d227b1980819b9691ba97f4d87",
    files=(
        RemoteFile(
            "pretrained_msd.pt",
            1_316_802_088,
            "218b483a0256ddef736267425fabb166fd97008983696bb9270def464b47bded",
        ),
        RemoteFile(
            "msd_stats.json",
            2_277,
            "c36c61ab10ca4d2e7fdfefc3fcc15205316bec276a06a47baa3641a62c546f22",
        ),
    ),
    folder="musicfm",
    code_licence="MIT",
    url="https://huggingface.co/minzwon/MusicFM",
    citation=(
        "Won, Hung and Le, A Foundation Model for Music Informatics, ICASSP 2024, arXiv:2311.03318"
    ),
    fair=f"{_ANY_LABELLED} Million Song Dataset",
)
_HEAR_TRACK2 = Checkpoint(
    name="hear-track2",
    kind="head",
    description="HEAR aesthetic head, track 2: five dimensions; 38,072,325 parameters",
    repo="earlab/EAR_HEAR",
    files=(RemoteFile("track_2.pth"),),
    weights_licence="not stated (treat as non-commercial)",
    code_licence="Apache-2.0",
    notes=(
        "about 152 MB; neither revision nor hash could be checked, so the newest revision is taken "
        "and its bytes are compared with what the hub states"
    ),
    url="https://huggingface.co/earlab/EAR_HEAR",
    citation=(
        "Liu et al., HEAR: Hierarchically Enhanced Aesthetic Representations for Multidimensional "
        "Music Evaluation, arXiv:2511.18869"
    ),
    fair=(
        "songs outside SongEval: trained on its training split, and the best step was chosen on "
        "its 200 validation songs"
    ),
)

_RECORDS = (
    Checkpoint(
        name="mini",
        kind="model",
        description="the published pair's architecture made small; bundled, works offline",
        weights_licence="Apache-2.0",
        code_licence="Apache-2.0",
        commercial=True,
        status="trained on synthetic music",
        notes="masked prediction on rendered audio only; `hear-aesthetics pretrain` made it",
        fair="anything: no recording was in its training, and layer and pooling were chosen on the "
        "validation parts of its model card's tasks",
    ),
    Checkpoint(
        name="large",
        kind="model",
        description="the published pair: MuQ-large-msd-iter and MusicFM (MSD)",
        parts=("muq", "musicfm-msd"),
        weights_licence="CC-BY-NC-4.0 (MuQ), not stated (MusicFM)",
        code_licence="MIT",
        commercial=False,
        fair=f"{_ANY_LABELLED} Million Song Dataset",
    ),
    Checkpoint(
        name="muq",
        kind="encoder",
        description="MuQ-large-msd-iter: 12 conformer layers, 333,401,472 parameters",
        repo="OpenMuQ/MuQ-large-msd-iter",
        revision="0562a57814f6f8bbd9fdea0a25921a2fce1a841a",
        files=(
            RemoteFile(
                "config.json",
                3_133,
                "237335ee27d8fb951ce778701a12a79e06c51ae636dd786f97e45f51ce532543",
            ),
            RemoteFile(
                "model.safetensors",
                1_333_825_096,
                "273febab2be02872c37d2c37e48a9d6c52c1c9392f3eeeabd498efa281ccb7a6",
            ),
        ),
        folder="muq",
        weights_licence="CC-BY-NC-4.0",
        code_licence="MIT",
        commercial=False,
        url="https://huggingface.co/OpenMuQ/MuQ-large-msd-iter",
        citation=(
            "Zhu et al., MuQ: Self-Supervised Music Representation Learning with Mel Residual "
            "Vector Quantization, arXiv:2501.01108"
        ),
        fair=f"{_ANY_LABELLED} Million Song Dataset",
    ),
    _MUSICFM,
    replace(
        _MUSICFM,
        name="musicfm-fma",
        description="MusicFM, Free Music Archive: the same architecture",
        files=(
            RemoteFile(
                "pretrained_fma.pt",
                1_316_802_154,
                "68392eee13d34c2941b3761934abb6b1e67b2e9df498695bda2ea5c1087d4b96",
            ),
            RemoteFile("fma_stats.json", 2_281),
        ),
        fair=f"{_ANY_LABELLED} Free Music Archive",
    ),
    replace(
        _HEAR_TRACK2,
        name="hear-track1",
        description="HEAR aesthetic head, track 1: Musicality; 38,055,937 parameters",
        files=(RemoteFile("track_1.pth"),),
    ),
    _HEAR_TRACK2,
    Checkpoint(
        name="songeval",
        kind="head",
        description="SongEval baseline head on MuQ hidden state 6; 25,197,573 parameters",
        files=(RemoteFile("model.safetensors"),),
        weights_licence="CC-BY-NC-SA-4.0 (its LICENSE file says Apache-2.0)",
        code_licence="Apache-2.0",
        commercial=False,
        instructions="take ckpt/model.safetensors from https://github.com/ASLP-lab/SongEval",
        url="https://github.com/ASLP-lab/SongEval",
        citation=(
            "Yao et al., SongEval: A Benchmark Dataset for Song Aesthetics Evaluation, "
            "arXiv:2505.10793"
        ),
        fair="songs outside SongEval; which of its songs trained it is not published",
    ),
    Checkpoint(
        name="songbench",
        kind="head",
        description="SongBench head on MuQ hidden state 6: seven aspects, scores in [1, 10]",
        files=(
            RemoteFile(
                "songbench.safetensors",
                100_808_636,
                "ca27966a6d2b3312587b9e1d53ee3adf6bde8ac68a7d339e6f962206cbfde312",
            ),
        ),
        weights_licence="academic use only (Tencent SongBench licence)",
        commercial=False,
        instructions="take songbench.safetensors from https://github.com/Tencent/SongBench",
        url="https://github.com/Tencent/SongBench",
        citation="SongBench: A Fine-Grained Multi-Aspect Benchmark for Song Quality Assessment",
        fair="songs outside SongBench",
    ),
    Checkpoint(
        name="roberta-base",
        kind="text encoder",
        description="RoBERTa base, the text side of the MusicEval models",
        repo="roberta-base",
        revision="e2da8e2f811d1448a5b465c236feacd80ffbac7b",
        files=(
            RemoteFile(
                "model.safetensors",
                498_818_054,
                "5bde1d28afb363d0103324efeb5afc8b2b397fe5e04beabb9b1ef355255ade81",
            ),
            RemoteFile("config.json"),
            RemoteFile("tokenizer.json"),
            RemoteFile("vocab.json"),
            RemoteFile("merges.txt"),
        ),
        weights_licence="MIT",
        code_licence="MIT",
        commercial=True,
        url="https://huggingface.co/roberta-base",
        citation=(
            "Liu et al., RoBERTa: A Robustly Optimized BERT Pretraining Approach, arXiv:1907.11692"
        ),
        fair="any",
    ),
)

CHECKPOINTS: dict[str, Checkpoint] = {record.name: record for record in _RECORDS}
REPOS: tuple[str, ...] = tuple(dict.fromkeys(r.repo for r in _RECORDS if r.repo))


def by_name(name: str) -> Checkpoint:
    """Return the record of a name.

    Raises:
        ValueError: If there is none; lists the names.
    """
    if name not in CHECKPOINTS:
        raise InputError(f"unknown checkpoint {name!r}; known: {', '.join(CHECKPOINTS)}")
    return CHECKPOINTS[name]


def by_repo(repo: str) -> Checkpoint | None:
    """Return the first record of a hub repository; None if it is unknown."""
    return next((record for record in CHECKPOINTS.values() if record.repo == repo), None)
