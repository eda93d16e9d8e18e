"""The commands of the guide, run as they are written there, but for the ports.

Label Studio has its database already, and one user; to make them takes a minute.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from al_tf.labeling import LabelLedger
from tests.labeling.makers import write_image

from .studio import PASSWORD, USER, choice, free_port
from .test_backend import until

GUIDE = Path(__file__).parents[2] / "docs/guides/label_studio.md"
CLASSES = ("good", "defective")
SECONDS = 300


@pytest.fixture
def place(tmp_path, program, initialized):
    """A folder with photos, Label Studio's environment, and `al-tf` on the path."""
    for i in range(12):
        write_image(tmp_path / "photos" / f"photo {i:02}.png", value=20 * i, side=32)
    (tmp_path / "studio").symlink_to(program.parents[1])
    shutil.copytree(initialized, tmp_path / "data")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "al-tf"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m al_tf "$@"\n')
    command.chmod(0o755)
    return tmp_path


class Shell:
    """Runs the guide's commands, one block at a time."""

    def __init__(self, place):
        self.place, self.studio, self.backend = place, free_port(), free_port()
        self._environment = os.environ | {
            "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "LABEL_STUDIO_BASE_DATA_DIR": str(place / "data"),
            "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": "",
            "http_proxy": "", "https_proxy": "", "HTTP_PROXY": "", "HTTPS_PROXY": "",
        }  # fmt: skip

    def _here(self, block):
        block = block.replace("8080", str(self.studio)).replace("9090", str(self.backend))
        block = block.replace("serve --ledger", f"serve --port {self.backend} --ledger")
        block = block.replace("you@example.org", USER).replace("choose-one", PASSWORD)
        return block.replace("start tiles", f"start tiles --no-browser --port {self.studio}")

    def run(self, block):
        script = "set -e\n" + self._here(block).replace("curl ", "curl -fsS ")
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.place, env=self._environment, timeout=500,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def running(self, block, port):
        """Run a server until the end; yields once it answers."""
        log = self.place / f"{port}.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", self._here(block)], cwd=self.place, env=self._environment,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        try:
            until(lambda: self._is_up(process, port, log), SECONDS)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)

    @staticmethod
    def _is_up(process, port, log):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
        except requests.RequestException:
            return False


@pytest.mark.timeout(1800)
def test_every_command_after_the_installation_does_what_the_guide_says(place):
    blocks = re.findall(r"```shell\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    install, serve, export, start, connect, model, read = blocks
    assert "pip install" in install
    shell = Shell(place)
    with shell.running(serve, shell.backend):
        shell.run(export)
        assert (place / "tasks.xml").exists()
        with shell.running(start, shell.studio):
            shell.run(connect)
            token = re.search(r"Token (\w+)", connect)[1]
            asked, url = {"Authorization": f"Token {token}"}, f"http://localhost:{shell.studio}"

            def ask(method, path, **options):
                reply = requests.request(method, url + path, headers=asked, timeout=60, **options)
                assert reply.ok, reply.text[:1000]
                return reply

            tasks = ask("GET", "/api/tasks?project=1&fields=all").json()["tasks"]
            assert len(tasks) == 12
            shown = ask("GET", tasks[0]["data"]["image"]).content
            assert shown == (place / "photos" / tasks[0]["data"]["al_tf_name"]).read_bytes()
            for task, label in zip(tasks[:4], CLASSES * 2, strict=True):
                ask(
                    "POST",
                    f"/api/tasks/{task['id']}/annotations/",
                    json={"result": [choice(label)]},
                )
            until(lambda: len(LabelLedger(place / "labels.db", read_only=True).answers()) == 4)

            def is_predicted():
                tasks = ask("GET", "/api/tasks?project=1&fields=all").json()["tasks"]
                return all(any(p["result"] for p in task["predictions"]) for task in tasks)

            until(is_predicted, 180)
            query = "exportType=JSON&download_all_tasks=true"
            content = ask("GET", f"/api/projects/1/export?{query}").content
            (place / "export.json").write_bytes(content)
    assert "Model trained on 4 labels" in shell.run(model)
    assert (place / "model.keras").exists()
    assert "0 recorded, 4 in the ledger already" in shell.run(read)
