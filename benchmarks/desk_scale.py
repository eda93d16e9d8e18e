"""The labeling desk on very many files: the page, the first image, the next ones, a refresh, memory.

    python benchmarks/desk_scale.py [--quick] [--files 50000 500000] [--labels 100] [--model probe]

Small JPEG files are made once for each number of files, in --folder, which then can be used again. Each
number is measured twice: as a folder never seen before, and opened again, with its index. The caches
are the run's own, so features are computed in the background while an oracle answers.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from _harness import ROOT, Values, machine, parser, table, write
from desk import PATIENCE, Page

COLUMNS = {
    "case": "", "page": "page s", "first_image": "first image s", "next_ms": "next image ms",
    "next_95_ms": "95 % below ms", "batch_ms": "next batch ms", "grid_ms": "grid ms",
    "all_read": "all files read s", "refresh": "10 new files s", "refresh_cpu": "CPU s",
    "start_cpu": "CPU s to the first image", "peak_mb": "peak MB",
}  # fmt: skip
MOTIFS, A_FOLDER, NEW = 64, 1_000, 10


def make_files(folder: Path, n: int) -> None:
    """Make the first `n` image files of a folder, as far as they are not there."""
    rng = np.random.default_rng(0)
    motifs = [_jpeg(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(MOTIFS)]
    for start in range(0, n, A_FOLDER):
        place = folder / f"{start // A_FOLDER:04d}"
        if len(list(place.glob("*.jpg"))) == A_FOLDER:
            continue
        place.mkdir(parents=True, exist_ok=True)
        for i in range(start, min(start + A_FOLDER, n)):
            (place / f"{i:07d}.jpg").write_bytes(commented(motifs[i % MOTIFS], f"image {i}"))


def _jpeg(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def commented(jpeg: bytes, text: str) -> bytes:
    """Return a JPEG file with a comment, which makes its content its own."""
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


class Run:
    """A desk on a folder, as a process.

    Parameters
    ----------
    folder, place : Path
        Of the images; for the ledger and the caches.
    model : str
    """

    def __init__(self, folder: Path, place: Path, model: str) -> None:
        command = [
            sys.executable, "-m", "al_tf", "label", str(folder), "--classes", "even,odd",
            "--ledger", str(place / f"{time.time_ns()}.db"), "--model", model, "--no-browser",
        ]  # fmt: skip
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3",
            "AL_TF_CACHE_DIR": str(place / "cache"), "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        self.begin = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self._peak = 0
        lines = self.process.stdout or ()
        address = next(filter(None, (re.search(r":(\d+)/\?token=(\S+)", t) for t in lines)))
        self.page = Page(int(address[1]), address[2])
        self.page.ask(do="status")
        self.page_seconds = self.since()

    def since(self) -> float:
        """Return the seconds since the command was given."""
        return time.perf_counter() - self.begin

    def cpu(self) -> float:
        """Return the CPU seconds that the process has spent."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def peak_mb(self) -> float:
        """Return the most memory that the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def end(self) -> None:
        """End the process as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


def measured(folder: Path, place: Path, model: str, labels: int) -> Values:
    """Open a desk, answer, look at the grid, and add files."""
    run = Run(folder, place, model)
    try:
        reply = run.page.ask(do="look")
        values = {"page": run.page_seconds, "first_image": run.since(), "start_cpu": run.cpu()}
        keys: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(labels):
            item = reply["item"]
            begin = time.perf_counter()
            label = "even" if int(item["name"][-5]) % 2 == 0 else "odd"
            reply = run.page.ask(do="label", slot=item["slot"], label=label)
            keys[item["position"] == item["batch"]].append(1e3 * (time.perf_counter() - begin))
        both = sorted(keys[False] + keys[True])
        values |= {
            "next_ms": median(both), "next_95_ms": both[int(0.95 * len(both))],
            "batch_ms": median(keys[True]),
        }  # fmt: skip
        while run.page.ask(do="status")["status"]["unread"]:
            time.sleep(0.1)
        values["all_read"] = run.since()
        begin = time.perf_counter()
        run.page.ask(do="review", show="all", offset=0, limit=200)
        values["grid_ms"] = 1e3 * (time.perf_counter() - begin)
        return values | refreshed(run, folder, reply) | {"peak_mb": run.peak_mb()}
    finally:
        run.end()


def refreshed(run: Run, folder: Path, reply: dict) -> Values:
    """Add files, answer until they are noticed, and remove them."""
    known = run.page.ask(do="status")["status"]["images"]
    new = folder / "new"
    new.mkdir()
    try:
        jpeg = _jpeg(np.zeros((8, 8, 3), np.uint8))
        for i in range(NEW):
            (new / f"new {i}.jpg").write_bytes(commented(jpeg, f"new {time.time_ns()}"))
        begin, cpu = time.perf_counter(), run.cpu()
        while time.perf_counter() - begin < PATIENCE:
            item = reply["item"]
            reply = run.page.ask(do="skip", slot=item["slot"])
            if reply["status"]["images"] >= known + NEW:
                break
        return {"refresh": time.perf_counter() - begin, "refresh_cpu": run.cpu() - cpu}
    finally:
        shutil.rmtree(new)


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--files", type=int, nargs="*", help="numbers of files")
    options.add_argument("--labels", type=int, default=100, help="answers in each run")
    options.add_argument("--model", default="probe", help="probe or cnn")
    options.add_argument("--folder", type=Path, help="where the images are made and kept")
    args = options.parse_args(argv)
    sizes = args.files or ([5_000] if args.quick else [50_000, 500_000])
    facts, rows = machine(), []
    with tempfile.TemporaryDirectory() as temporary:
        for n in sizes:
            folder = (args.folder or Path(temporary)) / f"files-{n}"
            make_files(folder, n)
            place = Path(temporary) / f"run-{n}"
            place.mkdir()
            for case in ("first", "again"):
                values = measured(folder, place, args.model, args.labels)
                rows.append({"case": f"{n:,} files, {case}", **values})
                print(rows[-1], flush=True)
    print(f"\n{table(rows, COLUMNS)}")
    what = f"al-tf label --model {args.model} on small JPEG files, {args.labels} answers over HTTP"
    print(f"\nWritten: {write('desk_scale', what, rows, facts, labels=args.labels)}")


if __name__ == "__main__":
    main()
