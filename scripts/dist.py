"""Build the wheel and the sdist, check what is in them, and try the wheel in fresh environments.

make dist                      # every Python of this machine, and the oldest versions allowed
make dist ROWS="3.12 oldest"   # some environments; ROWS=none: no environment

What is built is HEAD. The environments are made in a temporary folder, one after the other.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.metadata import Metadata

from hear_aesthetics.markdown import markdown_table
from scripts.portable import oldest_requirements

ROOT = Path(__file__).parents[1]
PACKAGES = ("hear_aesthetics", "heads", "songeval_task", "musiceval_task")
BESIDE = {  # in the sdist beside the packages
    *("CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md"),
    *("MANIFEST.in", "pyproject.toml", "setup.py"),
}
MADE = ("PKG-INFO", "setup.cfg")  # by the build
MINORS = range(11, 15)  # of Python 3
VALIDATOR = "hearvalidator==2021.0.6"
# It imports TensorFlow to ask whether a model is one of TensorFlow's.
TENSORFLOW = "class Module:\n    pass\n"
FUNCTIONS = """
import sys, torch, hear_aesthetics
assert hear_aesthetics.__file__.startswith(sys.prefix), hear_aesthetics.__file__
model = hear_aesthetics.load_model()
audio = torch.rand(2, model.sample_rate) * 2 - 1
scenes = hear_aesthetics.get_scene_embeddings(audio, model)
frames, times = hear_aesthetics.get_timestamp_embeddings(audio, model)
assert scenes.shape == (2, model.scene_embedding_size), scenes.shape
assert frames.shape == (*times.shape, model.timestamp_embedding_size), frames.shape
assert scenes.isfinite().all() and frames.isfinite().all()
"""
VERSIONS = (
    "import sys, numpy, torch; print(sys.version.split()[0], torch.__version__, numpy.__version__)"
)
CHECKS = {  # column -> program of the environment and its arguments
    "demo": ("hear-aesthetics", "demo"),
    "score": ("hear-aesthetics", "score", "demo/song.wav", "--model", "mini"),
    "HEAR functions": ("python", "-c", FUNCTIONS),
    "hear-validator": ("hear-validator", "hear_aesthetics", "-d", "cpu"),
}


def tracked() -> set[str]:
    """Return the files of HEAD."""
    command = ["git", "ls-tree", "-r", "--name-only", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist of HEAD, and from the sdist alone the wheel; return the wheel and the sdist.

    Raises:
        subprocess.CalledProcessError: If HEAD is not there, or one cannot be built.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as work:
        source = Path(work, "source.tar")
        archive = ["git", "archive", "--format=tar", "-o", str(source), "HEAD"]
        subprocess.run(archive, cwd=ROOT, check=True, capture_output=True)
        sdist = _build("sdist", _unpack(source, Path(work, "source")), out)
        (folder,) = _unpack(sdist, Path(work, "sdist")).iterdir()
        return _build("wheel", folder, out), sdist


def _build(kind: str, source: Path, out: Path) -> Path:
    program = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return out / done.stdout.splitlines()[-1]


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


def problems(wheel: Path, sdist: Path) -> list[str]:
    """Return what is wrong with the archives: files that are missing or too many, metadata."""
    code = {name for name in tracked() if name.split("/")[0] in PACKAGES}
    with zipfile.ZipFile(wheel) as file:
        (info,) = {name.split("/")[0] for name in file.namelist() if ".dist-info/" in name}
        shipped = {n for n in file.namelist() if not n.startswith(f"{info}/")}
        metadata = Metadata.from_email(file.read(f"{info}/METADATA"))  # raises if it is not valid
        found = _compare(wheel.name, shipped, code)
        if f"{info}/licenses/LICENSE" not in file.namelist():
            found.append(f"{wheel.name}: no LICENSE")
    if not metadata.description or metadata.description_content_type != "text/markdown":
        found.append(f"{wheel.name}: README.md is not its description")
    with tarfile.open(sdist) as file:
        names = {member.name.partition("/")[2] for member in file.getmembers() if member.isfile()}
    names = {name for name in names if name not in MADE and ".egg-info/" not in name}
    return found + _compare(sdist.name, names, code | BESIDE)


def _compare(archive: str, shipped: set[str], wanted: set[str]) -> list[str]:
    lacking = [f"{archive}: lacks {name}" for name in sorted(wanted - shipped)]
    return lacking + [f"{archive}: holds {name}" for name in sorted(shipped - wanted)]


def pythons() -> dict[str, str]:
    """Return the Pythons of this machine: version such as ``3.12`` -> program."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for version in (f"3.{minor}" for minor in MINORS):
        name = f"python{version}"
        for program in (shutil.which(name), *sorted(pyenv.glob(f"{version}.*/bin/{name}"))):
            works = (
                program
                and not subprocess.run(
                    [program, "-c", "import ensurepip"], capture_output=True, check=False
                ).returncode
            )
            if works:
                found[version] = str(program)
                break
    return found


def try_wheel(row: str, python: str, wheel: Path) -> dict[str, str]:
    """Install the wheel in an environment of its own and use it there; return a line of the table.

    Args:
        row: A version of Python, or ``oldest`` for the lowest versions that are allowed.
        python: The program.
        wheel: The file.
    """
    begun = time.perf_counter()
    with TemporaryDirectory() as work:
        bin_ = Path(work, "environment/bin")
        pins = oldest_requirements("") if row == "oldest" else []
        (Path(work) / "tensorflow.py").write_text(TENSORFLOW)
        pip = (str(bin_ / "python"), "-m", "pip", "--disable-pip-version-check")
        steps = {
            "install": [
                (python, "-m", "venv", str(bin_.parent)),
                (*pip, "install", "-q", *pins, str(wheel)),
                (*pip, "check"),
                (*pip, "install", "-q", "--no-deps", "--ignore-requires-python", VALIDATOR),
            ],
            **{name: [(str(bin_ / program), *rest)] for name, (program, *rest) in CHECKS.items()},
        }
        said = {name: _run(row, name, commands, Path(work)) for name, commands in steps.items()}
        versions = subprocess.run(
            [bin_ / "python", "-c", VERSIONS], capture_output=True, text=True, check=False
        ).stdout.split()
    shown = dict(zip(("Python", "torch", "numpy"), versions or ["-"] * 3, strict=True))
    return {"row": row, **shown, **said, "seconds": f"{time.perf_counter() - begun:.0f}"}


def _run(row: str, name: str, commands: list[tuple[str, ...]], folder: Path) -> str:
    """Run commands outside the source tree; return ``ok`` or ``FAILED``, and show the failure."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    clean |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    if name == "hear-validator":
        clean["PYTHONPATH"] = str(folder)
    for command in commands:
        done = subprocess.run(
            command,
            cwd=folder,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"--- {row}: {name}: {' '.join(command)}\n{done.stdout[-4000:]}", file=sys.stderr)
            return "FAILED"
    return "ok"


def main() -> int:
    """Build, check and try; return 0 if nothing is wrong."""
    found = pythons()
    rows = {**found, "oldest": next(iter(found.values()))}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(rows)}, none; all")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the archives")
    chosen = parser.parse_args()
    wanted = [row for row in chosen.rows or rows if row != "none"]
    if unknown := sorted(set(wanted) - set(rows)):
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(rows)}, none")
    archives = build(chosen.out)
    for archive in archives:
        print(f"{archive}: {archive.stat().st_size / 2**20:.1f} MB")
    if wrong := problems(*archives):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    lines = [try_wheel(row, rows[row], archives[0]) for row in wanted]
    if lines:
        print(markdown_table(list(lines[0]), [line.values() for line in lines]))
    return int(any("FAILED" in line.values() for line in lines))


if __name__ == "__main__":
    raise SystemExit(main())
