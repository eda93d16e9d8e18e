"""Many rounds in one process: memory, and time of a gradient step and of a query, first and last.

    python benchmarks/growth.py [--quick] [--rounds N] [--alone]

50 rounds of 10 labels by margin on Fashion-MNIST, pool of 2,000 (more for more rounds), with the
loop and the sides of `loop.py`. Shown are medians over the first and the last fifth of the rounds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _harness import RESULTS, Row, isolated, machine, parser, peer_python, table, versions, write
from loop import OURS, PEER, saved_data

SETTINGS = {"epochs": 5, "initial": 200, "batch": 10, "pool": 2_000, "test": 1_000}
KEYS = ("rss_mb", "ms_per_step", "query")


def measured(data: Path, peer: Path | None, settings: dict) -> list[Row]:
    """Run both sides, one after the other; ours alone without the peer's Python."""
    rows = []
    sides = [(OURS, "al_tf", sys.executable)] + ([(PEER, "modal_scikeras", peer)] if peer else [])
    for label, name, python in sides:
        arguments = json.dumps({**settings, "runs": [["margin", 0]]})
        done = isolated("sides/loop.py", name, data, arguments, python=python)
        rounds = done.answer["runs"][0]["rounds"]
        fifth = max(2, len(rounds) // 5)
        row: Row = {"case": label, "rounds": rounds}
        for key in KEYS:
            values = [r[key] for r in rounds][1:]
            row[f"{key}_first"] = float(np.median(values[:fifth]))
            row[f"{key}_last"] = float(np.median(values[-fifth:]))
        rows.append(row)
        print(f"  {label}: {len(rounds) - 1} rounds, {done.seconds:.0f} s")
    return rows


def draw(rows: list[Row], name: str) -> Path:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for ax, key, unit in zip(axes, KEYS[:2], ("resident MB", "ms a gradient step"), strict=True):
        for row, color in zip(rows, ("#2a6f97", "#8c8c8c"), strict=False):
            ax.plot([r[key] for r in row["rounds"]][1:], color=color, label=row["case"])
        ax.set(xlabel="round", ylabel=unit, ylim=(0, None))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    path = RESULTS / f"{name}.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, help="50; with --quick 10")
    options.add_argument("--alone", action="store_true", help="without modAL + SciKeras beside it")
    args = options.parse_args(argv)
    settings = {**SETTINGS, "rounds": args.rounds or (10 if args.quick else 50)}
    labels = settings["initial"] + settings["rounds"] * settings["batch"]
    settings["pool"] = max(settings["pool"], labels + settings["pool"] // 4)
    facts, peer = machine(), None if args.alone else peer_python("scikeras")
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(saved_data(Path(folder)), peer, settings)
    columns = {
        f"{k}_{end}": f"{k} {end}".replace("_", " ") for k in KEYS for end in ("first", "last")
    }
    print(f"\n{table(rows, {'case': '', **columns})}")
    what = f"Fashion-MNIST, margin, {settings}"
    name = "growth_alone" if args.alone else "growth"
    others = {} if peer is None else {"peer_versions": versions(peer)}
    path = write(name, what, rows, facts, settings=settings, **others)
    print(f"\nWritten: {path}, {draw(rows, name)}")


if __name__ == "__main__":
    main()
