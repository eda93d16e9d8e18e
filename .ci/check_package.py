"""Check a built package and use its wheel as a stranger would: ``make dist``.

    python .ci/check_package.py dist

What is in the wheel and in the source archive is compared with the package's folder, and the version with
the citation, the changelog and, in a release, the tag (``RELEASE_TAG``). Then the wheel is installed in an
environment of its own, outside the tree: it runs a small experiment, shows the help of the desk, and
finds the strategies of an installed package.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BESIDE = {
    "pyproject.toml",
    "requirements.txt",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CITATION.cff",
}
SMALL = "--seeds 2 --initial 50 --batch 25 --rounds 1 --epochs 2 --no-progress"


def package_files() -> set[str]:
    """Return the files of the package, as the wheel has to hold them."""
    paths = (ROOT / "al_tf").rglob("*")
    return {str(p.relative_to(ROOT)) for p in paths if p.is_file() and "__pycache__" not in p.parts}


def check_wheel(wheel: Path) -> None:
    """Compare the wheel with the package's folder."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    require_same(f"{wheel.name} against al_tf/", names, package_files())


def check_source(source: Path) -> None:
    """Compare the source archive with the package's folder and the files that belong beside it."""
    with tarfile.open(source) as archive:
        names = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    written = {n for n in names if ".egg-info/" in n} | {"PKG-INFO", "setup.cfg", "MANIFEST.in"}
    require_same(f"{source.name} against the tree", names - written, package_files() | BESIDE)


def require_same(what: str, there: set[str], expected: set[str]) -> None:
    """Stop unless two sets of file names are equal."""
    if there != expected:
        missing, extra = sorted(expected - there), sorted(there - expected)
        sys.exit(f"{what}: missing {missing or 'nothing'}, too much {extra or 'nothing'}")


def check_version(version: str) -> None:
    """Stop unless citation, changelog and tag know this version."""
    citation = (ROOT / "CITATION.cff").read_text()
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    if cited is None or cited[1] != version:
        sys.exit(f"CITATION.cff does not say version: {version}")
    if f"## {version}" not in (ROOT / "CHANGELOG.md").read_text():
        sys.exit(f"CHANGELOG.md has no section {version}")
    tag = os.environ.get("RELEASE_TAG")
    if tag is not None and tag != f"v{version}":
        sys.exit(f"The tag is {tag}, the package's version {version}: set al_tf.__version__ first")


def use(wheel: Path, folder: Path) -> None:
    """Install the wheel in an empty environment and do the package's main jobs with it."""
    venv.create(folder / "env", with_pip=True)
    binaries = folder / "env" / "bin"
    plugin = shutil.copytree(ROOT / "tests" / "plugin_example", folder / "plugin")

    def run(command: str) -> str:
        print(f"$ {command}", flush=True)
        name, *rest = shlex.split(command)
        done = subprocess.run(
            [binaries / name, *rest],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{done.stdout}\nexit status {done.returncode}")
        return done.stdout

    run(f"pip install --quiet {wheel}")
    run(f"pip install --quiet --no-deps {plugin}")
    where = run("python -c 'import al_tf; print(al_tf.__file__)'")
    require(str(folder) in where, f"al_tf is imported from {where}")
    print(run(f"al-tf run --dataset digits --strategies margin {SMALL} --out results"))
    require("| digits  | margin" in run("al-tf report results"), "the report lacks its table")
    require("--classes" in run("al-tf label --help"), "the help of `al-tf label` lacks --classes")
    listed = run("al-tf strategies")
    require("least_likely_class" in listed, "the strategy of an installed package is not listed")
    print(
        run(
            f"al-tf run --dataset digits --strategies least_likely_class {SMALL} --out plugin_results"
        )
    )


def environment() -> dict[str, str]:
    """Return this environment without what would let the tree's own package in."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "200"}


def require(condition: bool, message: str) -> None:
    """Stop with a message unless the condition holds."""
    if not condition:
        sys.exit(message)


def main() -> None:
    """Check what is in the folder that is given."""
    folder = Path(sys.argv[1]).resolve()
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    check_wheel(wheel)
    check_source(source)
    check_version(wheel.name.split("-")[1])
    with tempfile.TemporaryDirectory() as elsewhere:
        use(wheel, Path(elsewhere).resolve())
    print(f"{wheel.name} and {source.name} hold what they should, and the wheel works.")


if __name__ == "__main__":
    main()
