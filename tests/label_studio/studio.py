"""A real Label Studio on this machine: started, driven through its API, stopped.

As a program with the path of `label-studio`: makes the data that every one begins with.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

USER, PASSWORD = "ann@example.org", "a-long-password"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
SECONDS_TO_START = 180


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Studio:
    """A server with a data folder of its own.

    Parameters
    ----------
    program : Path
        The ``label-studio`` of an environment.
    folder : Path
        Its data; taken from `initialized` if it is new.
    documents : Path
        What it may serve of this disk.
    """

    def __init__(self, program, folder, documents):
        self.program, self.folder = program, folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Token {TOKEN}"
        self._environment = os.environ | {
            "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(documents),
            "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
            "LABEL_STUDIO_HOST": self.url,
            "ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "false",
            "SECRET_KEY": "of-no-importance",
            "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
            "http_proxy": "", "https_proxy": "", "HTTP_PROXY": "", "HTTPS_PROXY": "",
        }  # fmt: skip
        self._environment.pop("PYTHONPATH", None)
        self._process = None

    def initialize(self):
        """Make the database, one user and their token: a minute."""
        subprocess.run(
            [self.program, "init", "--quiet", "--username", USER, "--password", PASSWORD,
             "--user-token", TOKEN, "--enable-legacy-api-token"],
            env=self._environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def start(self):
        with open(self.folder / "log.txt", "ab") as log:
            self._process = subprocess.Popen(
                [self.program, "start", "--no-browser", "--internal-host", "127.0.0.1",
                 "--port", str(urlsplit(self.url).port)],
                env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        end = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < end:
            assert self._process.poll() is None, (self.folder / "log.txt").read_text()[-2000:]
            try:
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return self
            except requests.RequestException:
                time.sleep(0.3)
        raise TimeoutError(f"Label Studio did not start in {SECONDS_TO_START} s")

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # What its users do ------------------------------------------------------------------

    def ask(self, method, path, **options):
        reply = self.session.request(method, self.url + path, timeout=120, **options)
        assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text[:1500]}"
        return reply.json() if "json" in reply.headers.get("Content-Type", "") else reply.content

    def project(self, interface, title="A project"):
        asked = {"title": title, "label_config": interface}
        return self.ask("POST", "/api/projects", json=asked)["id"]

    def import_tasks(self, project, tasks):
        return self.ask("POST", f"/api/projects/{project}/import", json=tasks)

    def upload(self, project, path, name=None):
        files = {"file": (name or path.name, path.read_bytes(), "image/png")}
        return self.ask("POST", f"/api/projects/{project}/import", files=files)

    def local_storage(self, project, folder, *, sync):
        asked = {"project": project, "path": str(folder), "use_blob_urls": True,
                 "regex_filter": ".*png", "recursive_scan": True}  # fmt: skip
        storage = self.ask("POST", "/api/storages/localfiles", json=asked)["id"]
        if sync:
            self.ask("POST", f"/api/storages/localfiles/{storage}/sync", json={})

    def tasks(self, project, query=""):
        path = f"/api/tasks?project={project}&page_size=10000&fields=all{query}"
        return self.ask("GET", path)["tasks"]

    def annotate(self, task, *results, **more):
        asked = {"result": list(results), "lead_time": 2.5} | more
        return self.ask("POST", f"/api/tasks/{task}/annotations/", json=asked)["id"]

    def export(self, project, form, path):
        query = f"exportType={form}&download_all_tasks=true"
        content = self.session.get(f"{self.url}/api/projects/{project}/export?{query}").content
        path.write_bytes(content)
        return path

    def another_user(self, email):
        """Return a Studio that asks in the name of somebody else."""
        invite = self.ask("GET", "/api/invite")["invite_url"]
        session = requests.Session()
        page = session.get(self.url + invite)
        assert page.ok
        done = session.post(
            self.url + invite,
            data={
                "email": email, "password": PASSWORD, "allow_newsletters": "false",
                "csrfmiddlewaretoken": session.cookies["csrftoken"],
            },
            headers={"Referer": self.url + invite},
        )  # fmt: skip
        assert done.ok, done.text[:500]
        other = object.__new__(Studio)
        other.url, other.session = self.url, session
        session.headers["X-CSRFToken"] = session.cookies["csrftoken"]
        session.headers["Referer"] = self.url
        return other


def choice(*labels, control="choice"):
    """Return one part of a result."""
    return {"from_name": control, "to_name": "image", "type": "choices",
            "value": {"choices": list(labels)}}  # fmt: skip


def initialized_folder(program):
    """Return a data folder with a database and a user, kept with the environment: it takes a minute."""
    folder = program.parents[1] / "initialized"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        Studio(program, folder, folder).initialize()
        (folder / "complete").touch()
    return folder


@contextmanager
def running(program, initialized, folder, documents):
    """Run a server on a copy of an initialized data folder."""
    shutil.copytree(initialized, folder, dirs_exist_ok=True)
    studio = Studio(program, Path(folder), Path(documents)).start()
    try:
        yield studio
    finally:
        studio.stop()


if __name__ == "__main__":
    initialized_folder(Path(sys.argv[1]).absolute())
