"""What trains, in one line; and the first import of Keras, whose start messages are held back."""

import os
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


TRAINS = """
import os, sys, threading
from contextlib import nullcontext
import numpy as np
from al_tf import KerasImageClassifier
from al_tf.network.device import network_gives_way

def policies():
    return {int(thread): os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}

before = set(policies())
images, labels = np.zeros((8, 8, 8), np.uint8), [0, 1] * 4
with network_gives_way() if sys.argv[1] == "inside" else nullcontext():
    classifier = KerasImageClassifier(model_params={"filters": [2], "dense": 2}, epochs=1)
    classifier.fit(images, labels)
after = policies()
print(after[threading.get_native_id()] == os.SCHED_OTHER)
print(sum(policy == os.SCHED_IDLE for thread, policy in after.items() if thread not in before))
"""


def may_be_idle():
    """Tell whether a thread may say here that all others come before it."""
    code = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    return hasattr(os, "SCHED_IDLE") and not subprocess.run([sys.executable, "-c", code]).returncode


@pytest.mark.skipif(not may_be_idle(), reason="only Linux has threads that all others come before")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's threads alone")
@pytest.mark.parametrize("where", ["inside", "outside"])
def test_tensorflow_s_threads_give_way_to_all_others_inside_the_block_alone(where):
    done = subprocess.run(
        [sys.executable, "-c", TRAINS, where], capture_output=True, text=True, check=True
    )
    trainer_is_usual, idle = done.stdout.split()
    assert trainer_is_usual == "True"  # it holds Python's lock now and then
    assert (int(idle) > 0) == (where == "inside")
