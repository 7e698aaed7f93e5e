"""What is shipped: metadata, entry points, locks, licence, and the targets of the Makefile."""

import re
import subprocess
import zipfile
from importlib import import_module
from importlib.metadata import EntryPoint, distribution, metadata, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hear_aesthetics
from scripts.dist import build, problems

ROOT = Path(__file__).parents[1]
PROJECT = "hear-aesthetics"
PACKAGES = [path.parent.name for path in sorted(ROOT.glob("*/py.typed"))]
LOCKS = {
    "core": "",
    "dev": "dev",
    "hear-kit": "",
    "judges": "",
    "store": "",
}  # lock -> the extra whose needs it must meet
ALIKE_EVERYWHERE = ("torch==2.13.0", "soxr==0.5.0.post1")
BUNDLED_LIMIT = 12 * 2**20  # bytes of each model that ships in the package


def _lock_lines(name: str) -> list[str]:
    """The lines of a lock that are not comments, with those of the lock it starts from."""
    lines: list[str] = []
    for line in (ROOT / f"requirements/{name}.lock").read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            lines += _lock_lines(line.removeprefix("-r ").removesuffix(".lock"))
        elif not line.startswith("#"):
            lines.append(line)
    return lines


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_exact_versions_and_no_places(name: str) -> None:
    odd = [line for line in _lock_lines(name) if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", line)]
    assert not odd, f"{name}.lock: not of the form name==version (public, no URL or path): {odd}"


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_each_distribution_once(name: str) -> None:
    names = [line.partition("==")[0] for line in _lock_lines(name)]
    assert len(names) == len(set(names)), f"{name}.lock pins something twice"


@pytest.mark.parametrize("name", LOCKS)
def test_locks_agree_on_torch_and_soxr(name: str) -> None:
    assert set(ALIKE_EVERYWHERE) <= set(_lock_lines(name))


@pytest.mark.parametrize(("name", "extra"), LOCKS.items())
def test_locks_meet_the_ranges_of_setup(name: str, extra: str) -> None:
    pins = dict(line.split("==") for line in _lock_lines(name))
    for requirement in map(Requirement, requires(PROJECT) or []):
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin, f"{name}.lock lacks {requirement.name}: run `make lock`"
        assert requirement.specifier.contains(pin), f"{name}.lock has {pin}, not {requirement}"


@pytest.mark.parametrize(
    ("name", "unlisted"),
    [("hear-kit", {"heareval", "hearvalidator"}), ("judges", set()), ("docs", set())],
)
def test_locks_meet_their_lists(name: str, unlisted: set[str]) -> None:
    pins = dict(line.split("==") for line in _lock_lines(name))
    listed = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8").splitlines()
    for line in filter(None, (line.partition("#")[0].strip() for line in listed)):
        requirement = Requirement(line)
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), f"{name}.lock has {pin}, not {requirement}"
    assert unlisted <= pins.keys()


def test_version_of_the_package_is_the_newest_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert version(PROJECT) == hear_aesthetics.__version__
    assert re.findall(r"^## \[(.+)\]", changelog, re.M)[0] == hear_aesthetics.__version__


def test_licence_is_apache_with_its_text() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert metadata(PROJECT)["License"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability" in text


@pytest.mark.parametrize(
    "entry",
    distribution(PROJECT).entry_points,
    ids=lambda entry: f"{entry.group}:{entry.name}",
)
def test_entry_points_lead_somewhere(entry: EntryPoint) -> None:
    assert callable(entry.load())


@pytest.mark.parametrize(
    "target",
    [
        "demo",
        "test",
        "lint",
        "kit",
        "judges",
        "docs",
        "bench",
        "dist",
        "notebooks",
        "fresh",
        "venv",
    ],
)
def test_make_knows_the_target(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:.*## \S", makefile, re.MULTILINE)


def test_readme_starts_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = readme.split("```sh\n")[1].split("```")[0].splitlines()
    assert [line.partition("#")[0].strip() for line in first] == ["make demo", "make test"]


def test_ci_runs_lint_tests_the_official_kit_and_the_judges() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111, ".ci/run is not executable"
    assert re.search(r"make lint test kit judges\b", script.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist that `make dist` builds of HEAD."""
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a git checkout")
    return build(tmp_path_factory.mktemp("dist"))


@pytest.mark.slow
def test_archives_hold_every_module_and_weight_and_nothing_else(archives) -> None:
    assert problems(*archives) == []


@pytest.mark.slow
@pytest.mark.parametrize("stray", ["heads/notes.txt", "tests/test_cli.py"])
def test_a_file_too_many_is_named(archives, tmp_path: Path, stray: str) -> None:
    wheel = tmp_path / archives[0].name
    wheel.write_bytes(archives[0].read_bytes())
    with zipfile.ZipFile(wheel, "a") as file:
        file.writestr(stray, "")
    assert problems(wheel, archives[1]) == [f"{wheel.name}: holds {stray}"]


@pytest.mark.slow
def test_models_in_the_wheel_stay_small(archives) -> None:
    sizes: dict[str, int] = {}
    for item in zipfile.ZipFile(archives[0]).infolist():
        if "/weights/" in item.filename:
            model = item.filename.partition("/weights/")[2].split("/")[0]
            sizes[model] = sizes.get(model, 0) + item.file_size
    assert sizes
    assert all(size <= BUNDLED_LIMIT for size in sizes.values()), sizes


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_export_what_they_name(package: str) -> None:
    module = import_module(package)
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing, f"{package}.__all__ names what is not there: {missing}"
