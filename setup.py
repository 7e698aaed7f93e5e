"""Packaging metadata; tool settings: ``pyproject.toml``, exact versions: ``requirements/``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"', (ROOT / "hear_aesthetics/version.py").read_text(), re.MULTILINE
).group(1)

CORE = [
    "torch>=2.6",
    "numpy>=1.26",
    "scipy>=1.11.1",
    "pandas>=2.1",
    "soundfile>=0.13",
    "soxr>=0.3.2",
    "safetensors>=0.4.3",
    "huggingface_hub>=0.34",
    "matplotlib>=3.8",
    "typer>=0.29",
    "rich>=13.8",
]
SERVICE = [
    "fastapi>=0.160",
    "httpx2>=2.5",
    "prometheus-client>=0.22",
    "python-multipart>=0.0.27",
    "uvicorn>=0.45",
]
EXTRAS = {
    "train": [
        "accelerate>=1.0",
        "audiomentations>=0.40",
        "tensorboard>=2.16",
        "pyarrow>=15",
    ],
    "corpus": ["pyarrow>=15", "fsspec>=2024.2"],
    "s3": ["s3fs>=2024.2"],
    "text": ["transformers>=4.46.1"],
    "audiobox": ["transformers>=4.46.1"],
    "av": ["av>=13"],
    "boost": ["lightgbm>=4.3"],
    "mteb": ["mteb>=2.26"],
    "teachers": ["pyopen-wakeword>=1.1", "ai-edge-litert>=2.0"],
    "ray": ["ray[data]>=2.60"],
    "web": [*SERVICE, "gradio>=6.31"],
}
EXTRAS["dev"] = [
    *EXTRAS["train"],
    *EXTRAS["text"],
    *EXTRAS["audiobox"],
    *EXTRAS["av"],
    *EXTRAS["corpus"],
    *EXTRAS["ray"],
    *EXTRAS["teachers"],
    *SERVICE,  # the page has an environment of its own, `make page`
    "pytest>=8",
    "ruff>=0.8",
    "mypy>=1.13",
    "pandas-stubs",
    "pyloudnorm>=0.1.1",
    "scikit-learn>=1.5",
    "nbclient>=0.10.1",  # the notebooks
    "ipykernel>=6.29",
]

SCORERS = [
    "demo = songeval_task.scoring.head_scorers:load_demo",
    "musiceval = musiceval_task.scorer:load_default",
]

SAVED_SCORERS = ["DualBranchHead = musiceval_task.scorer:load_scorer"]

setup(
    name="hear-aesthetics",
    version=VERSION,
    description="MuQ + MusicFM representations, song aesthetics scores and the HEAR benchmark",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(
        include=["hear_aesthetics*", "heads*", "songeval_task*", "musiceval_task*"]
    ),
    package_data={"": ["py.typed", "*.csv", "*.toml", "static/*", "weights/**/*"]},
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["hear-aesthetics = hear_aesthetics.cli:main"],
        "hear_aesthetics.scorers": SCORERS,
        "hear_aesthetics.saved_scorers": SAVED_SCORERS,
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
    ],
)
