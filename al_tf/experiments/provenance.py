"""What the numbers of a study were made with, and nothing about where on a machine that was."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "al-tf", "numpy", "scipy", "scikit-learn", "pandas", "pillow", "keras", "tensorflow", "jax",
    "modAL-python",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """Return what the numbers were made with: versions, commit, command, platform."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "versions": versions,
        "git_commit": _git_commit(),
        "command": _command(),
        "platform": platform.platform(),
    }


def _command() -> list[str]:
    """Return the command line; that of a notebook's kernel would carry no information."""
    program = Path(sys.argv[0]).name
    if program == "ipykernel_launcher.py":
        return ["notebook"]
    return [program, *map(_without_place, sys.argv[1:])]


def _without_place(argument: str) -> str:
    """Return an argument without where on this machine its path lies: records get published."""
    option, equals, value = argument.rpartition("=")
    path = Path(value)
    if not path.is_absolute():
        return argument
    here = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.name
    return f"{option}{equals}{here}"


def _git_commit() -> str | None:
    """Return the commit of the source checkout, marked if it was changed; None elsewhere."""
    here = Path(__file__).parent
    command = [
        "git",
        "-C",
        str(here),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    with suppress(OSError, subprocess.SubprocessError):
        if subprocess.run(
            ["git", "-C", str(here), "ls-files", "--error-unmatch", __file__],
            capture_output=True, check=False, timeout=10,
        ).returncode:  # fmt: skip
            return None
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()
    return None


def without_places(text: str) -> str:
    """Return a text without where on this machine the user's data and files lie."""
    data = os.environ.get("AL_TF_DATA_DIR", "")
    if Path(data).is_absolute():
        text = text.replace(data, "$AL_TF_DATA_DIR")
    return text.replace(f"{Path.home()}/", "~/")
