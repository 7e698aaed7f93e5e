"""How each page of the documentation is walked: what is made small, and what is left to others."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NOTHING: Mapping[str, str] = MappingProxyType({})


class Walk(NamedTuple):
    """How a page is walked.

    Attributes:
        small: What it prints -> what is run instead, so that it takes seconds.
        left_out: Patterns of commands and lines of Python that are not run here -> why.
        follows: Page in whose folder it goes on.
        server: Whether it asks a server at the address that it prints.
    """

    small: Mapping[str, str] = NOTHING
    left_out: Mapping[str, str] = NOTHING
    follows: str | None = None
    server: bool = False


ELSEWHERE = {  # of all pages; their arguments are checked all the same
    r"^(apt-get|pip|docker|hf|make|mteb|sbatch|export|\.venv-\w+/\S+)\b": "changes the machine",
    r"^(ACCELERATE_USE_CPU=1 )?(accelerate|torchrun)\b": "run in tests of training",
    r"models download": "downloads published weights",
    r"://(?!127\.0\.0\.1)|songeval prepare hub": "needs a network",
    r"--ray": "starts a cluster: make cluster",
    r"hear-aesthetics serve": "a server runs besides",
}
TINY_ENCODER = (
    "--steps 2 --batch 1 --seconds 0.8 --pool-hours 0.01 --targets codes=8,rvq_steps=2 "
    "--size dim=16,depth=1,heads=2,ffn_dim=16,conv_channels=4"
)
SONGEVAL, HEAR = "docs/tutorials/songeval.md", "docs/tutorials/hear_module.md"
QUICK = "--grid faster --grid-points 1 --seeds 1"
PUBLISHED_HEADS = "published heads and widths: tests/songeval_task/training"

WALKS = {
    "docs/tutorials/songs.md": Walk(
        {
            "--songs 12 --seconds 20-30": "--songs 4 --seconds 10-11 --workers 1",
            "--top 5": "--top 3",
            "score songs/ --out scores.csv": "score songs/ --out published.csv",
            "--variants gain,crop --seconds 10": "--variants gain --seconds 5",
        }
    ),
    HEAR: Walk(
        {
            "--songs 40 --seconds 10-14": "--songs 24 --seconds 5-6 --workers 1",
            "--test-songs 10": "--test-songs 8",
            "--module melstats --grid faster": f"--module melstats {QUICK}",
            "--out embeddings/ --grid faster": f"--out embeddings/ {QUICK}",
            "--task songeval_track2": f"--task songeval_track2 {QUICK}",
            "--grid faster --seeds 5": QUICK,
        }
    ),
    SONGEVAL: Walk(
        {
            "--songs 400 --seconds 30-50": "--songs 48 --seconds 10-14 --workers 1",
            "--test-songs 100": "--test-songs 12 --valid-fraction 0.2",
            "--lr 1e-3 --epochs 10 ": "--lr 2e-3 --epochs 12 ",
            "--set batch_size=16 --set accumulation=1 --set patience=0\nhear-aesthetics songeval "
            "evaluate": "--set accumulation=1 --set patience=0\nhear-aesthetics songeval evaluate",
            "--set epochs=5": "--set epochs=1 --seeds 1 --track 2",
        },
        {
            "--model large --augmentations 3": PUBLISHED_HEADS,
            "--versions published": PUBLISHED_HEADS,
            "--recipe published": PUBLISHED_HEADS,
            "features --out run$": PUBLISHED_HEADS,
            "features --out ablation$": PUBLISHED_HEADS,
        },
    ),
    "docs/tutorials/reward.md": Walk(
        {"44_100 * 12": "44_100 * 1"}, {"examples/": "tests/examples"}, server=True
    ),
    "docs/tutorials/catalogue.md": Walk(
        {
            "--visible-weight 1": f"--visible-weight 1 {TINY_ENCODER}",
            "--init large": "--init pair",
            "--steps 5000 --batch 16 --micro-batch 4": "--steps 2 --batch 1 --seconds 0.8",
        },
        {"--out hear/": "run in hear_module.md", "leaderboard hear/": "run in hear_module.md"},
    ),
    "docs/howto/install.md": Walk(),
    "docs/howto/weights.md": Walk(),
    "docs/howto/embed.md": Walk({"48_000 * 5": "48_000", "24_000 * 60": "24_000 * 2"}),
    "docs/howto/long_audio.md": Walk(),
    "docs/howto/judges.md": Walk(
        {
            "songs/ --head audiobox\n": "songs/ --head audiobox --out a.csv\n",
            "--head muq-eval --window all": "--head muq-eval",
        },
        {"examples/|--head own": "tests/examples"},
    ),
    "docs/howto/calibrate.md": Walk({'"track2")': '"demo", model="mini")'}),
    "docs/howto/audit.md": Walk(
        {
            "audit                                # track2": "audit --seconds 1 --variants gain #",
            "--head songeval  #": "--head songeval --seconds 1 --variants gain #",
        },
        {"calibration.json": "tests/songeval_task/audit"},
    ),
    "docs/howto/serve.md": Walk(
        server=True, small={'token="..."': "token=None", "44_100 * 12": "44_100 * 1"}
    ),
    "docs/howto/many_songs.md": Walk(
        {
            "--shard 1/3     #": "--shard 1/3\nhear-aesthetics score songs.parquet --out scores "
            "--shard 2/3\nhear-aesthetics score songs.parquet --out scores --shard 3/3 #",
        }
    ),
    "docs/howto/ray.md": Walk(left_out={"ray.data": "starts a cluster: make cluster"}),
    "docs/howto/gpus.md": Walk(),
    "docs/howto/pretrain.md": Walk(
        left_out={
            "render-pool|--objective|--model pair": "needs sound fonts: "
            "tests/hear_aesthetics/pretraining/rendered and supervised",
            "adapted": "run in catalogue.md",
        }
    ),
    "docs/howto/audiomos.md": Walk(
        {
            "synthesize set": "synthesize set --prompts 5 --seconds 2 --workers 1",
            "--all --epochs 45 --patience 45": "--all --epochs 1",
        },
        {"DATA|evaluate runs/ensemble": "MusicEval itself"},
    ),
    "docs/howto/official_tools.md": Walk(),
    "docs/howto/benchmarks.md": Walk(
        left_out={"mteb|xares|marble|cli.py|versa|inference_benchmark": "make judges; adapters/"}
    ),
    "docs/howto/released_files.md": Walk(
        {
            "--init track_2.pth --data prepared --features features --out run": "--init run --data "
            "prepared --features features --out started --epochs 1",
            "--lr 1e-6": "--lr 1e-6 --epochs 1",
            "song.wav": "clip.wav",
        },
        follows=SONGEVAL,
    ),
    "docs/reference/inputs.md": Walk(),
    "docs/reference/models.md": Walk(),
    "docs/reference/exit_codes.md": Walk(),
    "docs/reference/api/songeval_task.md": Walk({'"track2")': '"demo", model="mini")'}),
    "docs/reference/api/heads.md": Walk(),
    "docs/explanation/bfloat16.md": Walk(),
    "docs/explanation/protocols.md": Walk(
        {
            "--grid faster --seeds 1": QUICK,
        },
        {"--protocol official": "heareval has no regression: tests of evaluate-embeddings"},
        follows=HEAR,
    ),
    "docs/explanation/recipes.md": Walk(
        left_out={
            "songeval": PUBLISHED_HEADS,
            "musiceval": "published recipes: tests/musiceval_task/training",
        }
    ),
}
