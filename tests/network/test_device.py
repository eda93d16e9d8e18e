"""What trains, in one line; and the first import of Keras, whose start messages are held back."""

import os
import subprocess
import sys

import keras
import pytest

from al_tf import describe_device
from al_tf.network.device import without_start_messages

pytestmark = pytest.mark.keras


def test_the_line_names_keras_its_backend_and_the_device():
    line = describe_device()
    assert line.startswith(f"Keras {keras.__version__} on {keras.backend.backend()} ")
    accelerators = [d for d in keras.distribution.list_devices() if not d.startswith("cpu")]
    assert line.endswith(", ".join(accelerators)) if accelerators else "cores" in line


CODE = """
import os, sys
from al_tf.network.device import without_start_messages
with without_start_messages():
    import keras
    os.write(2, b"E0000 something is wrong\\n")
print("after", file=sys.stderr)
"""


def test_only_start_messages_are_held_back():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-2:] == ["E0000 something is wrong", "after"]
    assert "I0000" not in done.stderr


def test_what_oldest_and_newest_tensorflow_say_at_the_start_is_held_back(capfd):
    said = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "I0000 00:00:17 port.cc:153] oneDNN custom operations are on.",
        "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.",
        "E0000 00:00:17 cuda_platform.cc:51] failed call to cuInit: INTERNAL: CUDA error",
        "E0000 00:00:17 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting to",  # 2.18
        "E0000 00:00:17 cuda_blas.cc:1418] Unable to register cuBLAS factory: Attempting to",
    )
    with without_start_messages():
        os.write(2, "\n".join((*said, "E0000 00:00:17 out of memory", "")).encode())
    assert capfd.readouterr().err == "E0000 00:00:17 out of memory\n"


def test_a_process_without_standard_error_imports_too():
    code = "import os, sys; os.close(2); sys.stderr = None\n" + CODE.replace(
        'os.write(2, b"E0000 something is wrong\\n")', "print(keras.__version__)"
    ).replace("import keras\n", "import json as keras; keras.__version__ = 'imported'\n").replace(
        'print("after", file=sys.stderr)', ""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "imported\n")
