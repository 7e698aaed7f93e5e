import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "hear_aesthetics" / "weights" / "mini"


def test_the_script_makes_the_bundled_files_to_the_byte(tmp_path):
    subprocess.run([sys.executable, ROOT / "scripts" / "make_mini.py", tmp_path], check=True)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) == 5
    assert [path for path in names if path.suffix == ".safetensors"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (BUNDLED / name).read_bytes(), name
