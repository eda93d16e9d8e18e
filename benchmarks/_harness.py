"""Common parts of the benchmarks: interleaved repetitions, facts of the machine, tables, pictures.

A benchmark is a script with a `main(argv)`. It measures its cases in turns, A B A B …, so that a
machine that slows down slows down all of them; it reports medians, and keeps every single value in
``results/<name>.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
PACKAGES = ("al-tf", "tensorflow", "keras", "jax", "numpy", "scikit-learn", "scipy", "modAL-python", "scikeras",
            "scikit-activeml", "cleanlab", "onnxruntime")  # fmt: skip
PEERS = {"scikeras": ".venv-peers", "skactiveml": ".venv-skactiveml", "onnxruntime": ".venv-onnx",
         "modal": ".venv-compat"}  # fmt: skip

Values = dict[str, float]
Row = dict[str, Any]


class Skipped(Exception):  # noqa: N818 - like unittest.SkipTest, not an error
    """A benchmark, or one side of it, cannot be measured here; the message says what is missing."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows ``--quick``."""
    options = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    options.add_argument("--quick", action="store_true", help="small sizes, a few minutes at most")
    return options


def arguments(
    doc: str | None, argv: Sequence[str] | None, *, full: int, quick: int
) -> argparse.Namespace:
    """Parse ``--quick`` and ``--repetitions``, by default `full` or `quick` of them."""
    options = parser(doc)
    options.add_argument("--repetitions", type=int, help="of every case")
    args = options.parse_args(argv)
    args.repetitions = args.repetitions or (quick if args.quick else full)
    return args


# Measuring ----------------------------------------------------------------------------------


def interleaved(
    cases: Mapping[str, Callable[[], Values]],
    repetitions: int,
    *,
    show: Callable[[str], None] = print,
) -> dict[str, dict[str, list[float]]]:
    """Run every case once, then every case again, and so on.

    Parameters
    ----------
    cases : mapping of str to callable
        Each returns what it measured, by name.
    repetitions : int
        Rounds; the order of the cases is reversed in every second one.
    show : callable
        Told of each measurement as it comes.

    Returns
    -------
    dict
        For each case, for each name, the values in the order of the rounds.
    """
    measured: dict[str, dict[str, list[float]]] = {name: {} for name in cases}
    for turn in range(repetitions):
        order = list(cases.items())
        for name, case in order if turn % 2 == 0 else reversed(order):
            values = case()
            for key, value in values.items():
                measured[name].setdefault(key, []).append(value)
            said = ", ".join(f"{k} {_number(v)}" for k, v in values.items())
            show(f"  [{turn + 1}/{repetitions}] {name}: {said}")
    return measured


def medians(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Row]:
    """Return one row per case: the median of each measurement, and ``values`` with all of them."""
    return [
        {"case": name, **{k: median(v) for k, v in values.items()}, "values": dict(values)}
        for name, values in measured.items()
    ]


def timed(work: Callable[[], Any]) -> Values:
    """Return the wall and CPU seconds of `work`, all threads of this process counted."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


@dataclass
class Finished:
    """A subprocess that has ended."""

    answer: dict[str, Any]
    """The JSON object that it printed last."""
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    """Most resident memory of the process and its children together, sampled ten times a second."""


def isolated(
    script: str | Path, *args: object, python: str | Path = sys.executable, **env: str
) -> Finished:
    """Run a script of this folder in a process of its own and return what it used and printed.

    Parameters
    ----------
    script : str or Path
        Relative to this folder. Its last line on stdout is a JSON object.
    *args
        Its arguments.
    python : str or Path
        The interpreter.
    **env
        Further environment variables.
    """
    command = [str(python), str(HERE / script), *map(str, args)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), **env}
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peak = _PeakMemory(process.pid)
        out, err = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{err[-3000:]}")
    answer = json.loads(out.strip().splitlines()[-1])
    return Finished(answer, seconds, answer.get("cpu_seconds", float("nan")), peak.stop())


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class _PeakMemory:
    """Watches the resident memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._ended = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        import psutil

        while not self._ended.wait(0.1):
            try:
                process = psutil.Process(self._pid)
                family = [process, *process.children(recursive=True)]
                total = sum(p.memory_info().rss for p in family)
            except psutil.Error:
                continue
            self._peak = max(self._peak, total)


def peer_python(name: str) -> Path:
    """Return the interpreter of a peer's environment, or raise `Skipped`."""
    python = ROOT / PEERS[name] / "bin" / "python"
    if not python.exists():
        raise Skipped(f"no {PEERS[name]}: run `make bench-peers` first")
    return python


def gemm_flops(n: int = 2048, repetitions: int = 10) -> float:
    """Return the best float32 rate of an n × n matrix product in Keras' backend, FLOP/s.

    Of an 8,192 × 8,192 one on a GPU, with whatever precision the backend gives float32 there.
    """
    import keras

    n = 8192 if accelerator() else n
    a = keras.random.normal((n, n), seed=0)  # ones take less power, and a GPU runs them faster
    product: Callable[..., Any] = keras.ops.matmul
    if keras.backend.backend() == "jax":
        import jax

        product = jax.jit(product)

    def work() -> float:
        return float(product(a, a)[0, 0])

    work()
    best = min(timed(work)["seconds"] for _ in range(repetitions))
    return 2 * n**3 / best


def accelerator() -> str | None:
    """Return the name of the GPU that Keras' backend trains on, if this process uses one."""
    if "keras" not in sys.modules:
        return None
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else str(device.device_kind)
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0]).get("device_name") if found else None


def flops_per_image(model: Any) -> int:
    """Return the multiplications and additions of one image's forward pass."""
    return sum(
        2 * math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
        for layer in model.layers
        if hasattr(layer, "kernel")
    )


# Reporting ----------------------------------------------------------------------------------


def machine() -> Row:
    """Return the facts of this machine that affect the numbers."""
    import psutil

    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.+)", info)
    flags = re.search(r"flags\s*: (.+)", info)
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "instructions": [f for f in known if flags and f in flags[1].split()],
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(python: str | Path = sys.executable) -> dict[str, str]:
    """Return the versions of the packages that matter, as installed in an environment."""
    if Path(python) != Path(sys.executable):
        code = (
            f"import sys, json; sys.path.insert(0, {str(HERE)!r}); import _harness;"
            "print(json.dumps(_harness.versions()))"
        )
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))
    packages = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return packages


def commit() -> str | None:
    """Return the commit of the checkout, with ``-dirty`` where a tracked file was changed."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no Git here
        return None
    return done.stdout.strip() or None


def table(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Return `rows` as a text table; `columns` maps keys to headings. Missing values are ``-``."""
    cells = [list(columns.values())]
    cells += [[_number(row[k]) if row.get(k) is not None else "-" for k in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    words = [any(isinstance(row.get(k), str) for row in rows) for k in columns]
    lines = [
        "  ".join(
            cell.ljust(width) if is_word else cell.rjust(width)
            for cell, width, is_word in zip(line, widths, words, strict=True)
        )
        for line in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def write(name: str, what: str, rows: Sequence[Row], facts: Row, **more: Any) -> Path:
    """Write ``results/<name>.json`` (``<name>_gpu.json``): the machine and versions, then the rows.

    Parameters
    ----------
    name : str
        Of the benchmark.
    what : str
        One sentence: what was done, on which data.
    rows : sequence of dict
        As `medians` returns them.
    facts : dict
        From `machine`, called before anything was measured.
    **more
        Whatever else belongs to the result, by name: settings, verdicts, peers' versions.
    """
    RESULTS.mkdir(exist_ok=True)
    content = {
        "benchmark": name,
        "what": what,
        "machine": facts,
        "accelerator": accelerator(),
        "versions": versions(),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        **more,
        "rows": list(rows),
    }
    path = _result(name, "json")
    path.write_text(json.dumps(_rounded(content), indent=1) + "\n")
    return path


def bars(name: str, title: str, groups: Mapping[str, Sequence[Row]], key: str, unit: str) -> Path:
    """Draw medians as horizontal bars, every repetition as a dot; one panel per group.

    Parameters
    ----------
    name : str
        The picture becomes ``results/<name>.png``.
    title : str
        What is shown.
    groups : mapping of str to rows
        Panels by heading.
    key : str
        Which measurement of the rows.
    unit : str
        Label of the axis.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    shown = {
        heading: [r for r in rows if r.get(key) is not None] for heading, rows in groups.items()
    }
    heights = [max(len(rows), 1) for rows in shown.values()]
    figure, axes = plt.subplots(
        len(shown), 1, figsize=(8, 0.9 + 0.38 * sum(heights) + 0.5 * len(heights)),
        height_ratios=heights, squeeze=False, layout="constrained",
    )  # fmt: skip
    for ax, (heading, rows) in zip(axes[:, 0], shown.items(), strict=True):
        for place, row in enumerate(rows):
            ours = row["case"].startswith("al_tf")
            ax.barh(place, row[key], color="#2a6f97" if ours else "#bcbcbc", height=0.7)
            values = row["values"].get(key, [])
            ax.plot(values, [place] * len(values), "o", color="black", ms=2.5)
            end = (max([row[key], *values]), place)
            ax.annotate(_number(row[key]), end, (5, 0), textcoords="offset points", va="center")
        ax.set_yticks(range(len(rows)), [r["case"] for r in rows])
        ax.invert_yaxis()
        ax.set_title(heading, loc="left", fontsize=10)
        ax.margins(x=0.15)
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel(unit)
    figure.suptitle(title)
    RESULTS.mkdir(exist_ok=True)
    path = _result(name, "png")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _result(name: str, kind: str) -> Path:
    return RESULTS / f"{name}{'_gpu' if accelerator() else ''}.{kind}"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, (list, tuple)) else value
