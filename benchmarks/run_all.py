"""Run every benchmark, one after the other, and say which were skipped and why.

    python benchmarks/run_all.py [--quick] [--only loop,inference]

The full set takes about two hours on two cores, the quick one a few minutes. Nothing else should be
running: the load of the machine before each benchmark is written to its results.
"""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from _harness import Skipped, parser  # noqa: E402

BENCHMARKS = (
    "startup",
    "inference",
    "embedding",
    "training",
    "vectorized",
    "strategies",
    "loop",
    "probe_loop",
    "grid",
    "growth",
    "scale",
    "cnn",
    "defects",
    "probe",
    "few_labels",
    "suspects",
    "annotators",
    "desk",
    "inspector",
    "desk_scale",
    "alike",
    "label_studio",
)


def run(name: str, options: Sequence[str]) -> str:
    """Run one benchmark; return ``done``, or why it was skipped, or ``FAILED``."""
    print(f"\n{'=' * 20} {name} {'=' * 20}", flush=True)
    try:
        importlib.import_module(name).main(options)
    except Skipped as reason:
        print(f"SKIPPED {name}: {reason}")
        return f"SKIPPED: {reason}"
    except Exception:
        traceback.print_exc()
        return "FAILED, see above"
    return "done"


def main(argv: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--only", default=",".join(BENCHMARKS), help="names, with commas")
    args = options.parse_args(argv)
    names = [name for name in args.only.split(",") if name]
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        options.error(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}"
        )
    outcomes = {}
    for place, name in enumerate(names, 1):
        start = time.perf_counter()
        outcome = run(name, ["--quick"] if args.quick else [])
        outcomes[name] = f"{outcome} ({time.perf_counter() - start:.0f} s)"
        print(f"[{place}/{len(names)}] {name}: {outcomes[name]}", flush=True)
    print("\nSummary")
    for name, outcome in outcomes.items():
        print(f"  {name:<12} {outcome}")
    return int(any(o.startswith("FAILED") for o in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
