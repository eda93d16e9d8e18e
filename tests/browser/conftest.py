"""A real browser: Playwright driving the system's Chromium; without them these tests are skipped.

With ``AL_TF_REQUIRE_BROWSER=1`` (`make test-browser`) they fail in place of being skipped.
"""

import os
import shutil
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from al_tf.datasets import dataset_status, load_dataset
from al_tf.labeling.desk.server import DeskServer

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
CLASSES = ("good", "defective")


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker("browser")


def missing(what, command):
    text = f"{what} is missing: run `{command}`, or `make test-browser` as root"
    if os.environ.get("AL_TF_REQUIRE_BROWSER"):
        pytest.fail(f"{text}; AL_TF_REQUIRE_BROWSER is set")
    pytest.skip(text)


@pytest.fixture(scope="session")
def chromium():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("The Python package playwright", "pip install playwright")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    path = path or missing("Chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def new_context(chromium, width=1280, height=800, **options):
    """Return a browser profile whose deadlines bear a machine that is busy with other tests."""
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(90_000)
    return context


@pytest.fixture
def page(chromium):
    context = new_context(chromium)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of image files, and the answer to each by its name."""
    folder = tmp_path_factory.mktemp("images")
    return folder, write_images(folder, 300)


def write_images(folder, n, *, held_out=False):
    """Write image files and return the answer to each by its name; names give nothing away.

    Those held out are of other tiles.
    """
    folder.mkdir(exist_ok=True)
    found = {status.name for status in dataset_status() if status.found}
    if "magnetic_tile" in found:
        data, defective = load_dataset("magnetic_tile", size=96, labels="binary"), [1]
    else:
        warnings.warn("magnetic_tile is not on this machine: digits take its place", stacklevel=1)
        data, defective = load_dataset("digits"), [0, 6, 8, 9]  # those with a closed loop
    truth = {}
    X, y = (data.x_test, data.y_test) if held_out else (data.x_train, data.y_train)
    for i in np.random.default_rng(0).permutation(len(X))[:n]:
        name = f"part {i:04}.png"
        Image.fromarray(X[i]).save(folder / name)
        truth[name] = CLASSES[int(y[i] in defective)]
    return truth


@contextmanager
def serving(*sessions):
    with DeskServer(*sessions) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
