"""What the tests of several rooms use."""

import os
import subprocess

import pytest


def pytest_collection_modifyitems(items):
    """Let the long ones begin: no process then waits at the end for the last test of another."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that makes (or makes larger) a disk of some KiB and returns its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(kib, *options):
        how = ["remount"] if os.path.ismount(folder) else []
        how = ",".join([*how, f"size={kib}k", *options])
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", how, "tmpfs", folder], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"SKIPPED, needs the right to mount a small disk: {done.stderr.strip()}")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Engines on JAX that run what a GPU runs; a CPU rounds one run's convolutions and many runs' apart."""
    from collections import OrderedDict

    from al_tf.network import jax_engine, kept_engines

    monkeypatch.setattr(jax_engine, "loops_on_device", lambda: True)
    monkeypatch.setattr(kept_engines, "_engines", OrderedDict())
