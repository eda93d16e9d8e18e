"""The labeling desk on very many files: the page, the first image, the next ones, a refresh, memory.

    python benchmarks/desk_scale.py [--quick] [--files 50000 500000] [--labels 100] [--model probe]

Small JPEG files are made once for each number of files, in --folder, which then can be used again. The
caches are the run's own. The page is there before the folder is open, and says how far that is; the first
image comes after it. Two cases for each number of files:

- first: a folder never seen before. Files are read, and with a probe their features are computed, in the
  background while an oracle answers, one answer every --pause seconds. What is done --wait seconds after
  the last answer is stated; the features of half a million images take hours on two cores.
- again: the index of the files is there, and, with a probe, features of every image. Those that the first
  case has not computed are **random numbers**, put into the store under the keys of the images: what a
  desk does with them takes the same time, and what its model says is nonsense.

Peak memory of the first case is that while features are computed; of the second, with all of them.
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
    "read": "files read", "embedded": "with features", "settled": "after s",
    "refresh": "100 new files noticed after s", "refresh_cpu": "CPU s",
    "start_cpu": "CPU s to the first image", "peak_mb": "peak MB", "own_mb": "at the end, own MB",
}  # fmt: skip
MOTIFS, A_FOLDER, NEW = 64, 1_000, 100
FILLED_AT_ONCE = 2_048


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
        self.page.open()
        self.page_seconds = self.since()

    def since(self) -> float:
        """Return the seconds since the command was given."""
        return time.perf_counter() - self.begin

    def cpu(self) -> float:
        """Return the CPU seconds that the process has spent."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def megabytes(self, kind: str) -> float:
        """Return memory of the process: ``"VmHWM"``, its peak, or ``"RssAnon"``, without mapped files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{kind}:")[1].split()[0]) / 1024

    def end(self) -> None:
        """End the process as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


def number(name: str) -> int:
    """Return the number of an image file."""
    return int(Path(name).stem)


def fill(folder: Path, cache: Path) -> None:
    """Put made-up numbers in the place of all features that are not there."""
    from al_tf.labeling.desk_settings import resolve_settings
    from al_tf.labeling.pool_features import PoolFeatures, model_inputs

    os.environ["AL_TF_CACHE_DIR"] = str(cache)
    settings, _ = resolve_settings(None, model="probe")
    pool, settings = settings.open_pool(folder)
    inputs = model_inputs(settings.build_estimator(("even", "odd")), pool)
    assert isinstance(inputs, PoolFeatures)
    rng = np.random.default_rng(0)
    motifs = rng.standard_normal((MOTIFS, inputs.backbone.dim), dtype=np.float32)
    with inputs.backbone.store() as store:
        for start in range(0, len(pool), FILLED_AT_ONCE):
            images = pool.arrivals[start : start + FILLED_AT_ONCE]
            names = dict(zip(inputs.sources(images), map(pool.name, images), strict=True))
            kept = store.get_sources([*names])
            new = {source: number(name) for source, name in names.items() if source not in kept}
            if new:
                features = motifs[[i % MOTIFS for i in new.values()]]
                features += 0.5 * rng.standard_normal(features.shape, dtype=np.float32)
                store.put([*new], np.maximum(features, 0))
                store.put_sources([*new], [*new])
    pool.close()


def measured(
    folder: Path, place: Path, model: str, labels: int, pause: float, wait: float
) -> Values:
    """Open a desk, answer, look at the grid, and add files."""
    run = Run(folder, place, model)
    try:
        reply = run.page.ask(do="look")
        values = {"page": run.page_seconds, "first_image": run.since(), "start_cpu": run.cpu()}
        keys: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(labels):
            time.sleep(pause)
            item = reply["item"]
            begin = time.perf_counter()
            label = "even" if number(item["name"]) % 2 == 0 else "odd"
            reply = run.page.ask(do="label", slot=item["slot"], label=label)
            keys[item["position"] == item["batch"]].append(1e3 * (time.perf_counter() - begin))
        both = sorted(keys[False] + keys[True])
        values |= {
            "next_ms": median(both), "next_95_ms": both[int(0.95 * len(both))],
            "batch_ms": median(keys[True]),
        }  # fmt: skip
        values |= settled(run, wait)
        begin = time.perf_counter()
        run.page.ask(do="review", show="all", offset=0, limit=200)
        values["grid_ms"] = 1e3 * (time.perf_counter() - begin)
        values |= refreshed(run, folder, reply, pause, wait)
        return values | {
            "peak_mb": run.megabytes("VmHWM"), "own_mb": run.megabytes("RssAnon"),
        }  # fmt: skip
    finally:
        run.end()


def settled(run: Run, wait: float) -> Values:
    """Wait for all files and features, so long at most; return how many are there."""
    end = time.perf_counter() + wait
    while True:
        status = run.page.ask(do="status")["status"]
        embedded = status["training"]["embedded"]
        done = not status["unread"] and embedded in (None, status["images"])
        if done or time.perf_counter() > end:
            read = status["files"] - status["unread"]
            return {"read": read, "embedded": embedded or 0, "settled": run.since()}
        time.sleep(0.2)


def refreshed(run: Run, folder: Path, reply: dict, pause: float, wait: float) -> Values:
    """Add files, answer until they are noticed, and remove them; nothing if they are not in time."""
    known = run.page.ask(do="status")["status"]["files"]
    new = folder / "new"
    new.mkdir(exist_ok=True)
    try:
        jpeg = _jpeg(np.zeros((8, 8, 3), np.uint8))
        for i in range(NEW):
            (new / f"new {i}.jpg").write_bytes(commented(jpeg, f"new {time.time_ns()}"))
        begin, cpu = time.perf_counter(), run.cpu()
        while time.perf_counter() - begin < wait:
            time.sleep(pause)
            reply = run.page.ask(do="skip", slot=reply["item"]["slot"])
            if reply["status"]["files"] >= known + NEW:
                return {"refresh": time.perf_counter() - begin, "refresh_cpu": run.cpu() - cpu}
        return {}
    finally:
        shutil.rmtree(new)


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--files", type=int, nargs="*", help="numbers of files")
    options.add_argument("--labels", type=int, default=100, help="answers in each run")
    options.add_argument("--model", default="probe", help="probe or cnn")
    options.add_argument("--pause", type=float, default=0.3, help="seconds before each answer")
    options.add_argument(
        "--wait", type=float, default=120, help="seconds for the background, at most"
    )
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
                if case == "again" and args.model == "probe":
                    fill(folder, place / "cache")
                values = measured(folder, place, args.model, args.labels, args.pause, args.wait)
                rows.append({"case": f"{n:,} files, {case}", **values})
                print(rows[-1], flush=True)
    print(f"\n{table(rows, COLUMNS)}")
    what = f"al-tf label --model {args.model} on small JPEG files, {args.labels} answers over HTTP"
    details = {"labels": args.labels, "pause": args.pause, "wait": args.wait}
    print(f"\nWritten: {write('desk_scale', what, rows, facts, **details)}")


if __name__ == "__main__":
    main()
