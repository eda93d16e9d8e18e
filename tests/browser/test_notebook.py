"""The same desk as a widget: in JupyterLab and served by Voilà, where these are installed."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from al_tf.labeling import LabelLedger
from al_tf.labeling.desk.front_end import notebook_module

from .conftest import new_context
from .screen import Screen
from .test_grid import cell, count, go, said

ROOT = Path(__file__).parents[2]
CELL = """
import numpy as np
from al_tf.labeling import LabelingSession
from al_tf.labeling.desk.widget import LabelingWidget
from tests.browser.screen import Pixels

images = np.random.default_rng(0).integers(0, 256, (60, 48, 64), dtype=np.uint8)
options = {"batch_size": 6, "audit_share": 0.0, "repeat_share": 0.0, "random_state": 0}
session = LabelingSession(Pixels(), images, "labels.db", classes=["odd", "even"], **options)
LabelingWidget(session)
"""


@pytest.fixture
def page(chromium):
    context = new_context(chromium, height=900)
    yield context.new_page()
    context.close()


@pytest.fixture
def folder(tmp_path):
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": [cell | {"source": CELL.strip()}], "metadata": {"kernelspec": kernel}}
    notebook |= {"nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "desk.ipynb").write_text(json.dumps(notebook))
    return tmp_path


@contextmanager
def running(module, folder, port, *arguments):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the Python package {module} is not installed")
    settings = {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    settings |= {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "RUNTIME")}
    command = [sys.executable, "-m", module, "--no-browser", *arguments]
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | settings, stdout=log, stderr=log
        )
    try:
        wait_for(port, process, folder / "server.log")
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(port, process, log, seconds=90):
    """Wait until a server takes connections."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.2)
    pytest.fail(f"The server did not start:\n{log.read_text()}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(folder):
    with LabelLedger(folder / "labels.db", read_only=True) as ledger:
        return [(event.kind, event.name, event.label) for event in ledger.events()]


def work(screen):
    """Label by mouse and keys, undo, skip; return what was done."""
    done = [("label", screen.name, "odd")]
    screen.click("odd")
    screen.frame.locator(".altf-stage").click()
    for key, answer in (("2", "even"), ("1", "odd"), ("1", "odd")):
        done.append(("label", screen.name, answer))
        screen.press(key)
    screen.press("u")
    done.append(("undo", screen.name, None))
    done.append(("skip", screen.name, None))
    screen.press("s")
    return done


def look_around(screen, folder):
    """Enlarge the image, correct an answer in the grid, label images alike; return what was done."""
    page = screen.page
    screen.frame.locator(".altf-stage").click()
    fitted = page.locator(".altf-image").bounding_box()["width"]
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.wait_for_timeout(300)
    assert page.locator(".altf-image").bounding_box()["width"] > 1.2 * fitted
    page.keyboard.press("z")

    go(screen, "g", "review")
    corrected, others = cell(screen, 0), {"odd": "even", "even": "odd"}
    name = corrected.get_attribute("title")
    label = others[corrected.locator(".altf-word").text_content()]
    corrected.locator("img:not([hidden])").wait_for()
    corrected.click()
    page.keyboard.press("1" if label == "odd" else "2")
    said(screen, "Relabeled 1 image")
    page.keyboard.press("Escape")
    page.wait_for_selector(".altf:not([data-view])")
    screen.ready()

    go(screen, "a", "alike")
    n = int(count(screen).split()[0])
    before = answers(folder)
    page.keyboard.press("1")
    said(screen, f"Labeled {n} images")
    page.wait_for_selector(".altf:not([data-view])")
    screen.ready()
    alike = answers(folder)[len(before) :]
    assert {(kind, label) for kind, _, label in alike} == {("label", "odd")}
    assert len({name for _, name, _ in alike}) == len(alike) == n
    return [("relabel", name, label), *alike]


def run_the_cell(page):
    """Run it until a new desk is there: a kernel that is just starting may not hear the first time."""
    page.evaluate("document.querySelectorAll('.altf').forEach(old => old.classList.add('old'))")
    for _ in range(4):
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        for _ in range(100):
            if page.locator(".altf:not(.old)[aria-busy=false]").count():
                return
            page.wait_for_timeout(200)
    pytest.fail("The cell shows no desk.")


def cells(page):
    return page.locator(".jp-Notebook .jp-Cell").evaluate_all(
        "cells => cells.map(c => [c.classList.contains('jp-CodeCell'),"
        " c.querySelector('.cm-content')?.innerText.trim().length > 0])"
    )


def test_the_module_renders_and_asks_the_kernel(page):
    """Without a notebook around it: a model that answers nothing."""
    page.goto("about:blank")
    sent = page.evaluate(
        """async (source) => {
          const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          const { default: widget } = await import(address);
          const sent = [];
          const model = { on() {}, off() {}, send: (message) => sent.push(message) };
          const remove = widget.render({ model, el: document.body });
          const shown = document.querySelectorAll(".altf .altf-frame").length;
          remove();
          return [sent.map(({ request }) => request), shown, document.querySelectorAll(".altf").length];
        }""",
        notebook_module(),
    )
    assert sent == [[{"do": "look"}], 1, 0]


def test_in_jupyterlab_by_keys_and_mouse_with_reload_and_restart(page, folder):
    port = free_port()
    options = (f"--ServerApp.port={port}", "--IdentityProvider.token=secret", "--allow-root")
    options += ("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",)
    options += ("--LabApp.news_url=None",)
    with running("jupyterlab", folder, port, *options):
        page.goto(f"http://127.0.0.1:{port}/lab/tree/desk.ipynb?token=secret")
        run_the_cell(page)
        screen = Screen(page)
        screen.ready()
        done = work(screen)
        done += look_around(screen, folder)
        assert answers(folder) == done
        for key in ("3", "d", "d", "x", "z", "Shift+M", "Enter"):
            page.keyboard.press(key)
        # the keys were the desk's alone; a notebook makes headings of cells, deletes them, …
        assert cells(page)[0] == [True, True]
        assert answers(folder) == done

        before = screen.name
        page.keyboard.press("Control+s")  # while keys with Control are not
        for _ in range(50):
            if '"outputs": []' not in (folder / "desk.ipynb").read_text():
                break
            page.wait_for_timeout(200)
        page.reload()
        page.wait_for_selector(".altf[aria-busy=false]", timeout=90_000)
        screen.ready()
        assert screen.name == before
        done += work(screen)
        assert answers(folder) == done

        before = screen.name
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Restart Kernel…").click()
        page.get_by_role("button", name="Confirm Kernel Restart").click()
        page.wait_for_timeout(3000)
        run_the_cell(page)
        screen.ready()
        assert screen.name == before
        done += work(screen)
        assert answers(folder) == done


def test_served_by_voila(page, folder):
    port = free_port()
    with running("voila", folder, port, "desk.ipynb", f"--port={port}"):
        page.goto(f"http://127.0.0.1:{port}/", timeout=90_000)
        page.wait_for_selector(".altf[aria-busy=false]", timeout=90_000)
        screen = Screen(page)
        screen.ready()
        done = work(screen)
        done += look_around(screen, folder)
        before = screen.name
        page.reload()
        page.wait_for_selector(".altf[aria-busy=false]", timeout=90_000)
        screen.ready()
        assert screen.name == before
        done += work(screen)
        assert answers(folder) == done
