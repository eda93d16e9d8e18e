"""Install this project on Colab, leaving the packages that Colab brings as they are.

What is installed already is pinned to its version, so pip adds what is missing and replaces
nothing; where that cannot be, it says which two versions are at odds and stops.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
KEPT = (
    "tensorflow", "keras", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib",
    "seaborn", "pillow", "ipywidgets", "ipykernel",
)  # fmt: skip


def installed(names: tuple[str, ...] = KEPT) -> dict[str, str]:
    """Return the versions of the packages that are there."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Install the project and what it lacks."""
    before = installed()
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "constraints.txt"
        pins.write_text("".join(f"{name}=={version}\n" for name, version in before.items()))
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", pins,
             f"{PROJECT}[label,testing]"],
            check=True,
        )  # fmt: skip
    print("al_tf installed; kept:", ", ".join(f"{n} {v}" for n, v in before.items()))


if __name__ == "__main__":
    main()
