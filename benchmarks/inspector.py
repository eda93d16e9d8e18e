"""A quality inspector's afternoon: how good the model is at 160 answers, and how the desk keeps up.

    python benchmarks/inspector.py [--quick] [--models probe,cnn] [--repetitions SEEDS]
    python benchmarks/inspector.py --hurried [--quick] [--models probe,cnn]

Of the magnetic tiles (good or defective), a fifth is held out by whole tile; the desk gets the rest
without labels, and an oracle answers.

The first command measures the model. It labels in sessions as `al-tf label` opens them, waits for each
training, and gives what `al-tf export --format model` writes to `al-tf evaluate`, on the tiles held
out. Among the answers are those to audit images and repeats, from which no model learns.

The second measures the desk. In headless Chromium, somebody presses the right key every `PACE` seconds
at `al-tf label`, exports the model and lets it predict the tiles held out. Every answer starts from the
image that is on the screen; the time from a key until the next image is painted is taken in the page.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from _harness import RESULTS, ROOT, Row, Skipped, Values, machine, medians, parser, table, write
from desk import tiles
from sklearn.metrics import average_precision_score

from al_tf.datasets._split import choose_test
from al_tf.datasets.magnetic_tile import CLASS_NAMES, TEST_FRACTION, _tiles
from al_tf.labeling import FolderPool, LabelingSession, LabelLedger
from al_tf.labeling.desk_settings import resolve_settings, store_settings
from al_tf.seeding import stream

CLASSES = ("good", "defective")
STRATEGIES = ("margin", "random")
ANSWERS = 160
PACE = 1.0
"""Seconds that the hurried annotator takes for an image."""
PATIENCE = 900.0
WATCH = """
window.waits = [];
addEventListener("keydown", () => (window.pressed = performance.now()), true);
new MutationObserver((changes) => {
  for (const { target, oldValue } of changes)
    if (window.pressed && target.dataset.slot !== oldValue) {
      window.waits.push(performance.now() - window.pressed);
      window.pressed = 0;
    }
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-slot"], attributeOldValue: true });
"""


def split(source: Path, into: Path, seed: int, limit: int | None) -> None:
    """Copy the photographs to ``pool`` and ``held``, by whole tile, and write ``truth.csv``."""
    photographs = sorted(
        (CLASS_NAMES.index(folder.name[3:].lower()), int(path.stem.rpartition("_")[2]), path)
        for folder in source.glob("MT_*")
        for path in folder.glob("Imgs/*.jpg")
    )
    defects, numbers = (np.array([photo[k] for photo in photographs]) for k in (0, 1))
    draws = stream(seed, "magnetic_tile", "test")  # as load_dataset("magnetic_tile", seed) does
    held = choose_test(defects, TEST_FRACTION, draws, _tiles(numbers))
    copied: Counter[tuple[bool, int]] = Counter()
    truth = []
    for is_held, (defect, number, path) in zip(held.tolist(), photographs, strict=True):
        copied[is_held, defect] += 1
        if limit is not None and copied[is_held, defect] > limit:
            continue
        target = into / ("held" if is_held else "pool") / f"{CLASSES[defect > 0]} {number}.jpg"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
        if is_held:
            truth.append((target.name, answer(target.name)))
    with (into / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("name", "label"), *truth])


def answer(name: str) -> str:
    """Return the true class of a photograph."""
    return name.partition(" ")[0]


def command(*arguments: object) -> list[str]:
    """Return the command line ``al-tf …``."""
    return [sys.executable, "-m", "al_tf", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(*arguments: object) -> float:
    """Run ``al-tf …``; return the seconds that it took."""
    begin = time.perf_counter()
    done = subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"al-tf {' '.join(map(str, arguments))} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - begin


# The model ----------------------------------------------------------------------------------


def labeled(folder: Path, ledger: Path, model: str, strategy: str, seed: int, n: int) -> None:
    """Give `n` answers at a new desk, each batch chosen with all labels before it."""
    settings, _ = resolve_settings(None, model=model, strategy=strategy)
    pool = FolderPool(folder, size=settings.size, grey=settings.grey)
    settings = replace(settings, grey=len(pool.shape) == 2)
    learns = strategy != "random"  # else no model has a say in what comes next
    with LabelingSession(
        settings.build_estimator(CLASSES), pool, ledger, classes=CLASSES, strategy=strategy,
        batch_size=settings.batch_size, cold_start=settings.cold_start if learns else "random",
        auto_retrain=learns, random_state=seed,
    ) as session:  # fmt: skip
        store_settings(session.ledger, settings)
        for _ in range(n):
            session.wait()
            item = session.next()
            if item is None:
                break
            session.label(answer(item.name), slot=item.slot)


def judged(place: Path, ledger: Path) -> Values:
    """Export the desk's model and evaluate it on what was held out."""
    run("export", ledger, place / "model.keras", "--format", "model", "--images", place / "pool")
    report = place / "report"
    model, truth, held = place / "model.keras", place / "truth.csv", place / "held"
    run("evaluate", model, truth, "--images", held, "--out", report)
    with (report / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    defective = np.array([row["label"] == "defective" for row in rows])
    called = np.array([row["predicted"] == "defective" for row in rows])
    p = np.array([float(row["p(defective)"]) for row in rows])
    with LabelLedger(ledger, read_only=True) as book:
        found = sum(event.label == "defective" for event in book.answers().values())
    return {
        "recall": float(called[defective].mean()),
        "precision": float(defective[called].mean()) if called.any() else float("nan"),
        "average_precision": float(average_precision_score(defective, p)),
        "defects_labeled": float(found),
        "held_out": float(len(rows)),
    }


def models(args: Any) -> None:
    """Measure the exported models, case by case; those of an earlier run are not repeated."""
    source, facts = tiles(), machine()
    seeds = args.repetitions or (1 if args.quick else 3)
    n, limit = (30, 15) if args.quick else (ANSWERS, None)
    path = RESULTS / "inspector.json"
    known = {} if args.quick or not path.exists() else json.loads(path.read_text())["cases"]
    for seed in range(seeds):
        for model in args.models:
            for strategy in STRATEGIES:
                case = f"{model}, {strategy}, seed {seed}"
                if case in known:
                    continue
                with tempfile.TemporaryDirectory() as place:
                    split(source, Path(place), seed, limit)
                    ledger = Path(place, "labels.db")
                    labeled(Path(place, "pool"), ledger, model, strategy, seed, n)
                    known[case] = judged(Path(place), ledger)
                print(case, known[case], flush=True)
                if not args.quick:
                    what = f"recall and average precision of defects at {n} answers, held-out tiles"
                    write("inspector", what, summary(known), facts, answers=n, cases=known)
    columns = {"case": "", "seeds": "seeds", "recall": "recall", "precision": "precision",
               "average_precision": "average precision", "defects_labeled": "defects labeled"}  # fmt: skip
    print(table(summary(known), columns))


def summary(cases: dict[str, Values]) -> list[Row]:
    """Return a row for each model and strategy: means over seeds, and standard deviations."""
    rows = []
    for name in sorted({case.rpartition(", seed")[0] for case in cases}):
        values = [v for case, v in cases.items() if case.startswith(f"{name}, seed")]
        row: Row = {"case": name, "seeds": len(values)}
        for key in values[0]:
            row[key] = mean(v[key] for v in values)
            if len(values) > 1:
                row[f"sd_{key}"] = stdev(v[key] for v in values)
        rows.append(row)
    return rows


# The desk -----------------------------------------------------------------------------------


@contextmanager
def page(address: str) -> Iterator[Any]:
    """Open an address in headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Skipped("the Python package playwright is not installed") from error
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser_path is None:
        raise Skipped("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.add_init_script(WATCH)
        tab.goto(address)
        yield tab
        browser.close()


def hurried(place: Path, model: str, n: int) -> Values:
    """Label in a hurry, export, predict; return what a person would have waited for."""
    ledger = place / f"{model}.db"
    begin = time.perf_counter()
    arguments = ("label", place / "pool", "--classes", ",".join(CLASSES), "--ledger", ledger,
                 "--model", model, "--no-browser")  # fmt: skip
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(),
    ) as process:  # fmt: skip
        try:
            addresses = (re.search(r"http://\S+token=\S+", line) for line in process.stdout or ())
            address = next(filter(None, addresses))[0]
            with page(address) as tab:
                tab.wait_for_selector(".altf[data-slot]", timeout=1e3 * PATIENCE)
                values = {"first_image": time.perf_counter() - begin}
                press(tab, n)
                waits = sorted(tab.evaluate("window.waits"))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
    values |= {"next_image_ms": median(waits), "slowest_ms": waits[int(0.95 * len(waits))]}
    with LabelLedger(ledger, read_only=True) as book:
        events = [e for e in book.events() if e.kind == "label"]
        trainings = book.rounds()["seconds"].tolist()
    chosen = [e for e in events if e.purpose == "query"]
    values["by_model"] = sum(e.strategy == "margin" for e in chosen) / len(chosen)
    values["answers"] = float(len(events))
    if trainings:
        values["retrain"] = median(trainings)
    network = place / f"{model}.keras"
    values["export"] = run(
        "export", ledger, network, "--format", "model", "--images", place / "pool"
    )
    values["predict"] = run("predict", network, place / "held", "--out", place / "held.csv")
    return values


def press(tab: Any, n: int) -> None:
    """Press the right key for `n` images, one each `PACE` seconds."""
    due = time.perf_counter()
    for _ in range(n):
        due = max(due + PACE, time.perf_counter())
        tab.wait_for_timeout(1e3 * max(0.0, due - time.perf_counter()))
        before = tab.get_attribute(".altf", "data-slot")
        tab.keyboard.press(str(1 + CLASSES.index(answer(tab.text_content(".altf-name").strip()))))
        tab.wait_for_function(
            "before => document.querySelector('.altf').dataset.slot !== before", arg=before,
            timeout=1e3 * PATIENCE,
        )  # fmt: skip


def desks(args: Any) -> None:
    """Measure the desk with each model."""
    source, facts = tiles(), machine()
    n, limit = (25, 15) if args.quick else (ANSWERS, None)
    with tempfile.TemporaryDirectory() as place:
        split(source, Path(place), 0, limit)
        measured = {
            model: {key: [value] for key, value in hurried(Path(place), model, n).items()}
            for model in args.models
        }
    rows = medians(measured)
    columns = {
        "case": "", "first_image": "first image s", "next_image_ms": "next image ms",
        "slowest_ms": "95 % below ms", "retrain": "retrain s", "by_model": "chosen by a model",
        "export": "export s", "predict": "predict s",
    }  # fmt: skip
    print(table(rows, columns))
    if not args.quick:
        what = f"al-tf label in Chromium, {n} answers, one each {PACE:g} s; export and predict"
        print("Written:", write("inspector_hurried", what, rows, facts, answers=n, pace=PACE))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the models, or the desk."""
    options = parser(__doc__)
    options.add_argument("--hurried", action="store_true", help="the desk, in Chromium")
    options.add_argument("--models", default="probe,cnn", help="probe, cnn or both")
    options.add_argument("--repetitions", type=int, help="seeds of every case")
    args = options.parse_args(argv)
    args.models = args.models.split(",")
    (desks if args.hurried else models)(args)


if __name__ == "__main__":
    main()
