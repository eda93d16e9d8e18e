"""The device that trains, and the messages that TensorFlow prints when it starts."""

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
    rb"|E0000 .*(failed call to cuInit|Unable to register cu)"
)


def describe_device() -> str:
    """Name what trains here in one line.

    Returns
    -------
    str
        Keras' version, its backend with version, and the accelerators, or the number of cores.

    Examples
    --------
    >>> from al_tf import describe_device
    >>> describe_device().split()[0]
    'Keras'
    """
    with without_start_messages():
        import keras

        devices = [name for name in keras.distribution.list_devices() if name[:3] != "cpu"]
    backend = keras.backend.backend()
    where = ", ".join(devices) or f"CPU, {os.cpu_count()} cores"
    return f"Keras {keras.__version__} on {backend} {metadata.version(backend)}: {where}"


@contextmanager
def without_start_messages() -> Iterator[None]:
    """Hold back the messages that TensorFlow prints when it is imported, whatever its log level.

    Some come from C++ code that runs before ``TF_CPP_MIN_LOG_LEVEL`` is read (TensorFlow 2.21
    prints six lines at level 3), so that the file descriptor of standard error has to be replaced.
    Everything else that is written to it meanwhile is passed on at the end. A process without a
    standard error, as of a desktop program, is left as it is.
    """
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
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
