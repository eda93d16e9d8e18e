"""What the network runs on."""

from __future__ import annotations

import os
from importlib import metadata

import keras


def describe_device() -> str:
    """Say in one line what trains here.

    Returns
    -------
    str
        Keras' version, its backend with version, and the accelerators, or the number of cores.
    """
    backend = keras.backend.backend()
    devices = [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]
    where = ", ".join(devices) or f"CPU, {os.cpu_count()} cores"
    return f"Keras {keras.__version__} on {backend} {metadata.version(backend)}: {where}"
