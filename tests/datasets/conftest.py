"""Every test gets a cache of its own, no data folder, no system copy, and no mirror but ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from al_tf.datasets import _download, cifar10, fashion_mnist, magnetic_tile, solar_cells


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(folder))
    monkeypatch.delenv("AL_TF_DATA_DIR", raising=False)
    monkeypatch.setattr(fashion_mnist.SOURCE, "system", ())
    monkeypatch.setattr(solar_cells, "PACKAGE", "not_installed")
    for module in (fashion_mnist, cifar10, magnetic_tile):
        monkeypatch.setattr(module, "MIRRORS", ())
    return folder


class Mirrors:
    """A server on 127.0.0.1 whose first folder names how it behaves: ``url("hang") + "file"``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirrors.requests.append(self.path)
                _, mode, name = self.path.split("/", 2)
                data = mirrors.files.get(name)
                if mode == "missing" or data is None:
                    self.send_error(404)
                    return
                if mode == "wrong":
                    data = b"<html>You must log in to use this network</html>"
                self.send_response(200)
                if mode != "endless":
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if mode in ("truncated", "hang"):
                    self.wfile.write(data[: len(data) // 2])
                    self.wfile.flush()
                    if mode == "hang":
                        mirrors.released.wait(20)
                elif mode == "endless":
                    try:
                        while not mirrors.released.is_set():
                            self.wfile.write(bytes(1 << 16))
                    except OSError:  # the client hung up, as it should
                        return
                elif mode == "drip":
                    for i in range(len(data)):
                        if mirrors.released.wait(0.001):
                            return
                        try:
                            self.wfile.write(data[i : i + 1])
                        except OSError:
                            return
                else:
                    self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, mode: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{mode}/"

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_download, "SILENCE_SECONDS", 0.5)
    server = Mirrors()
    yield server
    server.close()
