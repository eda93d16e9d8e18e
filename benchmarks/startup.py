"""Time to start: imports, the command line's help, a first query.

python benchmarks/startup.py [--quick] [--repetitions N]
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from _harness import (
    ROOT,
    Skipped,
    Values,
    arguments,
    bars,
    interleaved,
    isolated,
    machine,
    medians,
    peer_python,
    table,
    write,
)


def process(*command: object) -> Callable[[], Values]:
    def run() -> Values:
        start = time.perf_counter()
        subprocess.run([str(c) for c in command], check=True, capture_output=True, cwd=ROOT)
        return {"seconds": time.perf_counter() - start}

    return run


def python(code: str, interpreter: str | Path = sys.executable) -> Callable[[], Values]:
    return process(interpreter, "-c", code)


def first_query() -> Values:
    done = isolated("sides/first_query.py")
    return {"seconds": done.seconds, **done.answer}


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=5, quick=2)
    facts = machine()
    cases = {
        "python, nothing": python("pass"),
        "al_tf: import al_tf": python("import al_tf"),
        "al_tf: import its public names": python(
            "from al_tf import ActiveLearner, KerasImageClassifier, ExperimentConfig, get_strategy"
        ),
        "al_tf: al-tf --help": process(Path(sys.executable).with_name("al-tf"), "--help"),
        "al_tf: al-tf strategies": process(Path(sys.executable).with_name("al-tf"), "strategies"),
        "al_tf: first query": first_query,
        "import tensorflow": python("import tensorflow"),
    }
    try:
        peer = peer_python("scikeras")
        cases["import modAL, SciKeras"] = python("import modAL.models, scikeras.wrappers", peer)
    except Skipped as reason:
        print(f"SKIPPED modAL and SciKeras: {reason}")
    rows = medians(interleaved(cases, args.repetitions))
    names = {k: k.replace("_", " ") for row in rows for k in row if k not in ("case", "values")}
    print(f"\n{table(rows, {'case': '', **names})}")
    what = "whole processes; a first query: 200 digits learnt in 20 epochs, margin on the others"
    path = write("startup", what, rows, facts)
    picture = bars(
        "startup", "Until something happens", {"whole processes": rows}, "seconds", "seconds"
    )
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
