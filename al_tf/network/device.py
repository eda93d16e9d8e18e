"""What the network runs on, and what it says of itself when it wakes."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

_START_MESSAGE = re.compile(
    rb"I0000 |WARNING: All log messages before absl|To enable the following instructions"
    rb"|E0000 .*failed call to cuInit"
)


def describe_device() -> str:
    """Say in one line what trains here.

    Returns
    -------
    str
        Keras' version, its backend with version, and the accelerators, or the number of cores.
    """
    with without_start_messages():
        import keras

        devices = [name for name in keras.distribution.list_devices() if name[:3] != "cpu"]
    backend = keras.backend.backend()
    where = ", ".join(devices) or f"CPU, {os.cpu_count()} cores"
    return f"Keras {keras.__version__} on {backend} {metadata.version(backend)}: {where}"


@contextmanager
def without_start_messages() -> Iterator[None]:
    """Hold back what TensorFlow says of itself when it starts, whatever its log level is.

    The lines come from C++, before any setting applies; everything else that is written to
    standard error meanwhile is passed on.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            lines = held.read().splitlines(keepends=True)
            os.write(2, b"".join(line for line in lines if not _START_MESSAGE.match(line)))
