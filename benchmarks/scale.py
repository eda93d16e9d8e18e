"""A pool too large for memory: a memory-mapped file scored and queried.

    python benchmarks/scale.py [--quick] [--folder FOLDER]

500,000 images of 32 × 32 × 3 (1.5 GB, written to FOLDER first and removed at the end), asked by
entropy, k-center and BADGE for 100 images each: seconds and growth of resident memory. Then the
same with predictions kept on disk, where only the first strategy has to score.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _harness import Row, bars, interleaved, isolated, machine, medians, parser, table, write

from al_tf.progress import progress_bar

STRATEGIES = ("entropy", "kcenter", "badge")
COLUMNS = {
    "case": "", "seconds": "seconds", "images_per_s": "images/s", "baseline_mb": "baseline MB",
    "growth_mb": "growth MB",
}  # fmt: skip


def write_pool(path: Path, n: int) -> None:
    """Write n images: blobs of ten colours and places in noise."""
    rng = np.random.default_rng(0)
    pool = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 32, 32, 3))
    patterns = rng.integers(0, 192, (10, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    for start in progress_bar(range(0, n, 10_000), desc="writing the pool", unit="0,000 images"):
        size = min(10_000, n - start)
        noise = rng.integers(0, 64, (size, 32, 32, 3), dtype=np.uint8)
        pool[start : start + size] = patterns[rng.integers(0, 10, size)].astype(np.uint8) + noise
    pool.flush()


def measured(pool: Path, n: int, cache: Path) -> list[Row]:
    """Query with each strategy in a process of its own, first without the cache."""

    def ask(strategy: str, *folder: Path) -> dict[str, float]:
        answer = isolated("sides/scale.py", pool, strategy, *folder).answer
        return {**answer, "images_per_s": n / answer["seconds"]}

    cases = {f"al_tf: {s}": lambda s=s: ask(s) for s in STRATEGIES}
    cases |= {f"al_tf: {s}, predictions kept": lambda s=s: ask(s, cache) for s in STRATEGIES}
    return medians(interleaved(cases, 1))


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, help="where the pool is written")
    args = options.parse_args(argv)
    n = 20_000 if args.quick else 500_000
    facts = machine()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "pool.npy"
        write_pool(path, n)
        rows = measured(path, n, Path(folder) / "cache")
    print(f"\n{table(rows, COLUMNS)}")
    what = f"{n:,} images of 32 × 32 × 3 in a memory-mapped file, 100 asked for"
    path = write("scale", what, rows, facts, chosen_the_same=_agree(rows))
    picture = bars("scale", "A pool on disk", {what: rows}, "growth_mb", "growth of memory, MB")
    print(f"\nWritten: {path}, {picture}")


def _agree(rows: list[Row]) -> bool:
    """Whether each strategy chose the same images with the cache and without."""
    half = len(rows) // 2
    pairs = zip(rows[:half], rows[half:], strict=True)
    return all(json.dumps(a["checksum"]) == json.dumps(b["checksum"]) for a, b in pairs)


if __name__ == "__main__":
    main()
