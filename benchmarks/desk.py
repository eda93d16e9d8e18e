"""The labeling desk over HTTP, as its page uses it, with the probe and with the CNN.

    python benchmarks/desk.py [--quick] [--repetitions N] [--labels 150]

`al-tf label` serves the magnetic tiles; an oracle answers good or defective at once. Each run starts
a process and a ledger; features that the probe needs come from the user's cache where they are there,
and the first run of all embeds the rest.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from _harness import (
    ROOT,
    Skipped,
    Values,
    bars,
    interleaved,
    machine,
    medians,
    parser,
    table,
    write,
)

CASES = {"al_tf, probe": "probe", "cnn": "cnn"}
COLUMNS = {
    "case": "", "first_image": "first image s", "first_model": "first model s",
    "retrain": "retrain s", "next_image_ms": "next image ms", "slowest_ms": "95 % below ms",
    "accuracy": "estimated accuracy", "audited": "audited",
}  # fmt: skip
PATIENCE = 600.0


def tiles() -> Path:
    """Return the folder of the tiles."""
    folder = Path(os.environ.get("AL_TF_DATA_DIR", "")) / "magnetic_tile"
    if not (folder / "MT_Free").is_dir():
        raise Skipped("$AL_TF_DATA_DIR has no folder magnetic_tile with MT_Free/Imgs and so on")
    return folder


def images_alone(source: Path, into: Path, limit: int | None) -> None:
    """Copy the photographs without their masks, class by class."""
    for folder in sorted(source.glob("MT_*")):
        for path in sorted(folder.glob("Imgs/*.jpg"))[:limit]:
            target = into / folder.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


class Page:
    """What the page sends: requests with its cookie, over one connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._headers = {
            "Cookie": f"al_tf_desk_{port}={token}",
            "Origin": f"http://127.0.0.1:{port}",
            "Content-Type": "application/json",
        }

    def open(self) -> None:
        """Fetch the page; what it shows may be how far the opening of the folder is."""
        self._connection.request("GET", "/", headers=self._headers)
        response = self._connection.getresponse()
        if response.status != HTTPStatus.OK or not response.read():
            raise RuntimeError(f"The page is missing: {response.status}")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the reply, once the folder is open."""
        while True:
            self._connection.request("POST", "/ask", json.dumps(request), self._headers)
            response = self._connection.getresponse()
            reply = json.loads(response.read())
            if response.status != HTTPStatus.SERVICE_UNAVAILABLE or "failed" in reply:
                break
        if reply.get("error") or "failed" in reply:
            raise RuntimeError(reply.get("error") or reply["failed"])
        return dict(reply)


def session(folder: Path, model: str, labels: int) -> Values:
    """Label so many images at a new desk and return what a person would have waited for."""
    with tempfile.TemporaryDirectory() as place:
        command = [
            sys.executable, "-m", "al_tf", "label", str(folder), "--classes", "good,defective",
            "--ledger", f"{place}/labels.db", "--model", model, "--no-browser",
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        begin = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            try:
                return labeled(process, begin, labels)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE)


def labeled(process: subprocess.Popen[str], begin: float, labels: int) -> Values:
    address = next(
        filter(None, (re.search(r":(\d+)/\?token=(\S+)", t) for t in process.stdout or ()))
    )
    page = Page(int(address[1]), address[2])
    reply = page.ask(do="look")
    values = {"first_image": time.perf_counter() - begin}
    keys, trainings, rounds = [], [], 0
    for _ in range(labels):
        item = reply["item"]
        label = "good" if item["name"].startswith("MT_Free") else "defective"
        pressed = time.perf_counter()
        reply = page.ask(do="label", slot=item["slot"], label=label)
        keys.append(time.perf_counter() - pressed)
        rounds = _note(reply, rounds, trainings, values, begin)
    deadline = time.perf_counter() + PATIENCE
    while reply["status"]["training"]["state"] != "ready" and time.perf_counter() < deadline:
        time.sleep(0.2)
        reply = page.ask(do="status")
        rounds = _note(reply, rounds, trainings, values, begin)
    accuracy = reply["status"]["accuracy"] or {"value": float("nan"), "n": 0}
    return values | {
        "retrain": median(trainings[1:] or trainings),
        "next_image_ms": 1e3 * median(keys),
        "slowest_ms": 1e3 * sorted(keys)[int(0.95 * len(keys))],
        "accuracy": accuracy["value"],
        "audited": accuracy["n"],
    }


def _note(
    reply: dict[str, Any], rounds: int, trainings: list[float], values: Values, begin: float
) -> int:
    """Take down a training that has ended since the last reply; return how many there were."""
    training = reply["status"]["training"]
    if training["round"] > rounds:
        values.setdefault("first_model", time.perf_counter() - begin)
        trainings.append(training["seconds"])
    return int(training["round"])


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--repetitions", type=int, help="of every case")
    options.add_argument("--labels", type=int, help="given in each run")
    args = options.parse_args(argv)
    labels = args.labels or (30 if args.quick else 150)
    facts, source = machine(), tiles()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "tiles")
        images_alone(source, folder, 20 if args.quick else None)
        n_images = len(list(folder.glob("*/*.jpg")))
        print(f"{n_images:,} tiles, {labels} labels")
        cases = {name: partial(session, folder, model, labels) for name, model in CASES.items()}
        repetitions = args.repetitions or (1 if args.quick else 3)
        rows = medians(interleaved(cases, repetitions))
    print(f"\n{table(rows, COLUMNS)}")
    what = f"al-tf label on {n_images:,} magnetic tiles, {labels} labels by an oracle, over HTTP"
    path = write("desk", what, rows, facts, labels=labels)
    picture = bars("desk", "The labeling desk", {"": rows}, "retrain", "seconds per training")
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
