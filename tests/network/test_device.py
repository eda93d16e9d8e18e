"""One line says what trains."""

import keras
import pytest

from al_tf import describe_device


@pytest.mark.keras
def test_the_line_names_keras_its_backend_and_the_device():
    line = describe_device()
    assert line.startswith(f"Keras {keras.__version__} on {keras.backend.backend()} ")
    accelerators = [d for d in keras.distribution.list_devices() if not d.startswith("cpu")]
    assert line.endswith(", ".join(accelerators)) if accelerators else "cores" in line
