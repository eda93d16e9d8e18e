"""The first import of Keras: TensorFlow's start messages are held back, others are not."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.keras

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
