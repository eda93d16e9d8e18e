"""What trains, in one line; and the first import of Keras, whose start messages are held back."""

import subprocess
import sys

import keras
import pytest

from al_tf import describe_device

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


def test_a_process_without_standard_error_imports_too():
    code = "import os, sys; os.close(2); sys.stderr = None\n" + CODE.replace(
        'os.write(2, b"E0000 something is wrong\\n")', "print(keras.__version__)"
    ).replace("import keras\n", "import json as keras; keras.__version__ = 'imported'\n").replace(
        'print("after", file=sys.stderr)', ""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "imported\n")
