"""Every query strategy at four sizes of pool: seconds, peak memory, growth, and peers beside them.

    python benchmarks/strategies.py [--quick] [--pools N,N] [--repetitions N] [--peers-python PATH]
    python benchmarks/strategies.py --peers-only    # the strategies that peers have, a few minutes
    python benchmarks/strategies.py --strategies badge,margin
    python benchmarks/strategies.py --wide          # 1,280 columns, 10,000 and 50,000 rows
    python benchmarks/strategies.py --wide --pools 200000
    python benchmarks/strategies.py --million       # 1,280 columns; memory of those for large pools

Features of 64 columns, 10 classes, 200 labeled: of Fashion-MNIST's images from a network trained
on the 200 up to pools of 50,000 (simulated where the dataset is missing), simulated above. Each
query in a process of its own, ours and the peers' in turns. The peers are scikit-learn's
`KernelDensity` (at 50,000 rows timed on 5,000 of them and scaled up) and scikit-activeml's
own strategies. With ``--wide``, features have the 1,280 columns of EfficientNet-Lite0, all
simulated, above 50,000 rows in a memory map of float16. ``--million`` runs each strategy that claims
``large_pools`` once, on a million such rows (2.6 GB on disk). Writes ``results/strategies.json`` and
``.png``, or ``strategies_peers.json``, ``strategies_wide.json`` or ``strategies_million.json``.

Stopped, it goes on where it was, but with ``--quick`` or ``--strategies``: every measurement is kept
in ``results/strategies.jsonl`` (``_wide``, ``_million``) at the top of the checkout, and belongs to the
code of that time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

import _harness
import numpy as np

from al_tf.errors import DataNotFoundError
from al_tf.strategies import list_strategies, strategy_info

WIDTH, N_CLASSES = 64, 10
SIZES = (10_000, 50_000, 200_000, 1_000_000)
LARGEST = {  # quadratic, or many passes over the pool: not run on larger ones
    "softmax_outlier": 50_000,
    "softmax_kde": 50_000,
    "kde": 50_000,
}
LEFT_OUT = {"expected_error"}  # for small pools: refits the model for every image
ONCE = {("kde", 50_000), ("softmax_outlier", 50_000)}  # half a minute and more each
PEERS = {"kde": 50_000, "kcenter": 50_000, "badge": 50_000, "typiclust": 10_000}
"""The largest pool each peer is run on."""
FLOORS = {"kcenter"}
WIDE, WIDE_SIZES = 1280, (10_000, 50_000)
MILLION, MOST_MEMORY = 1_000_000, 4e9  # what `large_pools` promises
WIDE_PEERS = {
    "random": 50_000,
    "uncertainty": 50_000,
    "margin": 50_000,
    "entropy": 50_000,
    "kcenter": 50_000,
    "badge": 10_000,
    "typiclust": 10_000,
    "probcover": 10_000,
    "max_herding": 10_000,
    "drop_query": 10_000,
}
"""Those of n × n distances take 0.8 GB at 10,000 rows and 20 GB at 50,000."""
WIDE_LEFT_OUT = LEFT_OUT | {"kde"}
KEPT = _harness.ROOT / "results"
REAL_UP_TO = 50_000


def make_real_pool(folder: Path) -> None:
    """Write features and probabilities of Fashion-MNIST's images; the first 200 are labeled."""
    from _strategy_cell import N_LABELED

    from al_tf import KerasImageClassifier, load_dataset
    from al_tf.seeding import stream

    data = load_dataset("fashion_mnist")
    rows = stream(0, "benchmark pool").permutation(len(data.x_train))[:REAL_UP_TO]
    x, y = data.x_train[rows], data.y_train[rows]
    classifier = KerasImageClassifier(
        model_params={"dense": WIDTH}, classes=range(N_CLASSES), min_steps=200, random_state=0
    )
    classifier.fit(x[:N_LABELED], y[:N_LABELED])
    proba, features = classifier.predict_with_features(x)
    folder.mkdir()
    for name, array in (("features", features), ("proba", proba), ("labels", y)):
        np.save(folder / f"{name}.npy", array)


def make_pool(folder: Path, n: int, width: int = WIDTH, dtype: type = np.float32) -> None:
    """Write features like those of a trained network: classes in a few directions, noise, ReLU."""
    rng = np.random.default_rng(0)
    centres = 1.5 * rng.standard_normal((N_CLASSES, 12))
    mixing = rng.standard_normal((12, width)) / np.sqrt(12)
    labels = rng.integers(0, N_CLASSES, n)
    folder.mkdir()
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", dtype, (n, width))
    proba = np.empty((n, N_CLASSES), dtype=np.float32)
    step = 3_200_000 // width
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        hidden = centres[labels[part]] + rng.standard_normal((part.stop - start, 12))
        noise = 0.3 * rng.standard_normal((part.stop - start, width))
        features[part] = np.maximum(hidden @ mixing + noise, 0)
        logits = -((hidden[:, None] - centres) ** 2).sum(axis=2) / 4
        unnormalised = np.exp(logits - logits.max(axis=1, keepdims=True))
        proba[part] = unnormalised / unnormalised.sum(axis=1, keepdims=True)
    features.flush()
    for name, array in (("proba", proba), ("labels", labels)):
        np.save(folder / f"{name}.npy", array)


def make_pools(args, folder: Path) -> None:
    """Write the pools that the sizes asked for need."""
    if not args.wide:
        make_pool(folder / "simulated", max(args.pools))
        make_real_pool(folder / "fashion_mnist")
        return
    small = [n for n in args.pools if n <= REAL_UP_TO]
    if small:
        make_pool(folder / "simulated", max(small), WIDE)
    if len(small) < len(args.pools):
        make_pool(folder / "mapped", max(args.pools), WIDE, np.float16)


def cells(args) -> list[tuple[str, int, int, str]]:
    """Return (strategy, rows, batch, side) of everything to run."""
    left_out = WIDE_LEFT_OUT if args.wide else LEFT_OUT
    names = [name for name in ["kde", *list_strategies()] if name not in left_out]
    if args.million:
        names = [name for name in names if strategy_info(name).large_pools]
    peers = WIDE_PEERS if args.wide else PEERS
    chosen = []
    for n in args.pools:
        for name in names:
            if n > LARGEST.get(name, n):
                continue
            once = args.quick or name == "kde" or (name, n) in ONCE
            for batch in (100,) if once or args.wide else (100, 1000):
                chosen.append((name, n, batch, "al_tf"))
            if args.peers_python and n <= peers.get(name, 0):
                chosen.append((name, n, 100, "peer"))
                chosen += [(name, n, 100, "floor")] * (name in FLOORS)
    if args.strategies:
        chosen = [cell for cell in chosen if cell[0] in args.strategies.split(",")]
    if args.peers_only:
        chosen = [cell for cell in chosen if cell[2] == 100 and cell[1] <= peers.get(cell[0], 0)]
    return chosen


def measure(args, folder: Path) -> list[_harness.Row]:
    """Run all cells in turns; large pools, large batches and the slowest are run once."""
    everything = cells(args)
    turns = [
        (turn, cell)
        for turn in range(args.repetitions)
        for cell in (everything if turn % 2 == 0 else reversed(everything))
        if turn == 0 or (cell[1] <= 50_000 and cell[2] == 100 and cell[:2] not in ONCE)
    ]
    part = "_million" if args.million else "_wide" if args.wide else ""
    path = KEPT / f"strategies{part}.jsonl"
    kept_on_disk = not args.strategies and not args.quick
    kept = read_kept(path) if kept_on_disk else {}
    for place, (turn, cell) in enumerate(turns, start=1):
        said = f"[{place}/{len(turns)}] {cell[3]} {cell[0]}, {cell[1]:,} rows, batch {cell[2]}"
        if (turn, cell) not in kept:
            kept[turn, cell] = answer = run_cell(args, folder, cell)
            if kept_on_disk:
                keep(path, turn, cell, answer)
        answer = kept[turn, cell]
        print(f"{said}: {answer['seconds']:.3g} s, {answer['peak_mb']:,.0f} MB", flush=True)
    answers: dict[tuple, list[dict]] = {}
    for (_, cell), answer in sorted(kept.items(), key=lambda item: item[0][1][1]):
        answers.setdefault(cell, []).append(answer)
    return [
        {
            "case": f"{side} {name}",
            "strategy": name,
            "side": side,
            "pool": n,
            "batch": batch,
            "seconds": median(v["seconds"] for v in values),
            "peak_mb": median(v["peak_mb"] for v in values),
            "cpu_seconds": median(v["cpu_seconds"] for v in values),
            "values": {key: [v[key] for v in values] for key in values[0]},
        }
        for (name, n, batch, side), values in answers.items()
    ]


def run_cell(args, folder: Path, cell: tuple) -> dict:
    """Run one cell in a process of its own and return what it measured."""
    name, n, batch, side = cell
    python = args.peers_python if side == "peer" else sys.executable
    large, real = n > REAL_UP_TO, folder / "fashion_mnist"
    source = folder / ("mapped" if args.wide and large else "simulated")
    source = real if real.exists() and not large else source
    run = _harness.isolated("_strategy_cell.py", source, n, name, batch, side, python=python)
    return run.answer


def code_version() -> str:
    """Return a digest of the code that a cell measures."""
    rooms = [_harness.ROOT / "al_tf" / room for room in ("strategies", "geometry")]
    paths = [path for room in rooms for path in sorted(room.rglob("*.py"))]
    digest = hashlib.sha256()
    for path in [*paths, _harness.HERE / "_strategy_cell.py"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def read_kept(path: Path) -> dict[tuple, dict]:
    """Return what was measured of this code before, by turn and cell."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {
        (line["turn"], tuple(line["cell"])): line["answer"]
        for line in map(json.loads, lines)
        if line["code"] == code_version()
    }


def keep(path: Path, turn: int, cell: tuple, answer: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    line = {"code": code_version(), "turn": turn, "cell": cell, "answer": answer}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def growth(rows: list[_harness.Row]) -> dict[str, float]:
    """Return the exponent of seconds in the pool's size for each strategy, batch 100."""
    exponents = {}
    for name in dict.fromkeys(row["strategy"] for row in rows):
        own = [
            r for r in rows if r["strategy"] == name and r["side"] == "al_tf" and r["batch"] == 100
        ]
        if len(own) > 1:
            x, y = np.log([r["pool"] for r in own]), np.log([r["seconds"] for r in own])
            exponents[name] = float(np.polyfit(x, y, 1)[0])
    return exponents


def against_peers(rows: list[_harness.Row]) -> list[_harness.Row]:
    """Return for each peer how many times faster we are, over the floor, and both sides' memory."""
    side = {
        name: {(r["strategy"], r["pool"], r["batch"]): r for r in rows if r["side"] == name}
        for name in ("al_tf", "floor")
    }
    comparisons = []
    for row in rows:
        if row["side"] == "peer":
            key = row["strategy"], row["pool"], row["batch"]
            own, floor = side["al_tf"][key], side["floor"].get(key)
            comparisons.append(
                {
                    "case": row["strategy"],
                    "pool": row["pool"],
                    "ours_s": own["seconds"],
                    "peer_s": row["seconds"],
                    "times_faster": row["seconds"] / own["seconds"],
                    "over_floor": floor and own["seconds"] / floor["seconds"],
                    "ours_mb": own["peak_mb"],
                    "peer_mb": row["peak_mb"],
                }
            )
    return comparisons


def report(rows: list[_harness.Row], exponents: dict[str, float]) -> None:
    for batch in sorted({r["batch"] for r in rows}):
        sizes = sorted({r["pool"] for r in rows})
        lines = []
        for name in dict.fromkeys(r["strategy"] for r in rows):
            line: _harness.Row = {"case": name, "growth": exponents.get(name)}
            for r in rows:
                if r["strategy"] == name and r["batch"] == batch and r["side"] == "al_tf":
                    line[f"s{r['pool']}"], line[f"m{r['pool']}"] = r["seconds"], r["peak_mb"]
            lines.append(line)
        columns = {"case": f"batch {batch}"}
        columns |= {f"s{n}": f"{n:,} s" for n in sizes} | {f"m{n}": f"{n:,} MB" for n in sizes}
        print("\n" + _harness.table(lines, columns | {"growth": "growth n^"}))


def report_million(args, rows: list[_harness.Row], facts: _harness.Row) -> None:
    """Print and write what each strategy took; times only where nothing else ran are of use."""
    for row in rows:
        row["mapped_mb"] = row["values"]["mapped_mb"][0]
        row["within_limit"] = row["peak_mb"] * 1e6 < MOST_MEMORY
    headings = {"strategy": "a million rows", "peak_mb": "MB", "mapped_mb": "MB of the map read"}
    headings |= {"within_limit": "within 4 GB", "seconds": "s"}
    print("\n" + _harness.table(rows, headings))
    if args.strategies:
        return
    what = f"One query of 100 among a million rows of {WIDE:,} columns in a memory map of float16."
    print(f"\nWritten: {_harness.write('strategies_million', what, rows, facts)}")


def draw(rows: list[_harness.Row], path: Path, width: int) -> None:
    """Draw a line for each strategy, the slowest at the top, with a mark for each size of pool."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    rows = [r for r in rows if r["batch"] == 100 and r["side"] != "floor"]
    sizes = sorted({r["pool"] for r in rows})
    own = sorted((r for r in rows if r["side"] == "al_tf"), key=lambda r: r["seconds"])
    place = {name: i for i, name in enumerate(dict.fromkeys(r["strategy"] for r in own))}
    figure, axes = plt.subplots(
        1, 2, figsize=(11, 1.5 + len(place) / 4), layout="constrained", sharey=True
    )
    for ax, key, unit in zip(
        axes, ("seconds", "peak_mb"), ("seconds a query", "peak MB"), strict=True
    ):
        for i, n in enumerate(sizes):
            for side, mark in (("al_tf", "o"), ("peer", "x")):
                shown = [r for r in rows if r["pool"] == n and r["side"] == side]
                label = f"{n:,} images" + ", scikit-learn or scikit-activeml" * (side == "peer")
                if shown:
                    values = [max(r[key], 0.1) if key == "peak_mb" else r[key] for r in shown]
                    levels = [place[r["strategy"]] for r in shown]
                    ax.plot(values, levels, f"C{i}{mark}", label=label)
        ax.set(xscale="log", xlabel=unit, yticks=range(len(place)), yticklabels=list(place))
        ax.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=2)
    figure.suptitle(f"One query of 100 images, features of {width:,} columns")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """Return the options, with the sizes of the pools as a list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only the smallest pool")
    parser.add_argument("--pools", help="sizes of the pools, separated by commas")
    parser.add_argument("--wide", action="store_true", help=f"features of {WIDE:,} columns")
    parser.add_argument(
        "--million", action="store_true", help="memory of the strategies for large pools"
    )
    parser.add_argument("--repetitions", type=int, default=3, help="of pools up to 50,000")
    parser.add_argument("--strategies", help="only these, separated by commas; nothing is written")
    parser.add_argument(
        "--peers-only", action="store_true", help="only strategies that peers have too"
    )
    parser.add_argument("--peers-python", help="interpreter of an environment with scikit-activeml")
    args = parser.parse_args(argv)
    args.wide = args.wide or args.million
    sizes = (MILLION,) if args.million else WIDE_SIZES if args.wide else SIZES
    args.pools = [int(n) for n in args.pools.split(",")] if args.pools else list(sizes)
    if args.quick:
        args.pools = args.pools[:1]
    if args.peers_only:
        args.pools = [n for n in args.pools if n <= max(PEERS.values())]
    return args


def main(argv: list[str] | None = None) -> None:
    args = parsed(argv)
    width = WIDE if args.wide else WIDTH
    facts = _harness.machine()
    if not args.peers_python:
        try:
            args.peers_python = str(_harness.peer_python("skactiveml"))
        except _harness.Skipped as reason:
            print(f"SKIPPED: the peers ({reason})")
    with tempfile.TemporaryDirectory() as folder:
        try:
            make_pools(args, Path(folder))
        except DataNotFoundError as reason:
            print(f"SKIPPED: features of real images, simulated ones instead ({reason})")
        rows = measure(args, Path(folder))
    if args.million:
        report_million(args, rows, facts)
        return
    exponents, peers = growth(rows), against_peers(rows)
    report(rows, exponents)
    if peers:
        headings = {"case": "against peers", "pool": "pool", "ours_s": "ours s", "peer_s": "peer s"}
        headings |= {
            "times_faster": "times faster",
            "over_floor": "× floor",
            "ours_mb": "ours MB",
            "peer_mb": "peer MB",
        }
        print("\n" + _harness.table(peers, headings))
    if args.strategies:
        return
    part = "_peers" if args.peers_only else "_wide" if args.wide else ""
    path = _harness.write(
        f"strategies{part}",
        f"One query on features of {width:,} columns (10 classes, 200 labeled), each in a process of "
        "its own.",
        rows,
        facts,
        growth_exponents=exponents,
        against_peers=peers,
        peers_versions=_harness.versions(args.peers_python) if args.peers_python else None,
    )
    draw(rows, path.with_suffix(".png"), width)
    print(f"\nWritten: {path} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    main()
