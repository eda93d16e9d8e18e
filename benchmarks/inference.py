"""Scoring a pool of 50,000 uint8 images: this package beside `model.predict` and SciKeras.

    python benchmarks/inference.py [--quick] [--repetitions N]

`model.predict` is measured as called by default (batches of 32) and at the batch size this package
uses; both are given float32 images that were scaled beforehand, unless the row says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _harness import (
    Row,
    Skipped,
    Values,
    arguments,
    bars,
    flops_per_image,
    gemm_flops,
    interleaved,
    isolated,
    machine,
    medians,
    peer_python,
    table,
    timed,
    versions,
    write,
)

SEED = 0
COLUMNS = {
    "case": "", "images_per_s": "images/s", "cpu_ms_per_image": "CPU ms/image",
    "ratio_default": "× predict", "ratio_512": "× predict, 512", "share_of_gemm": "of GEMM rate",
}  # fmt: skip


def per_image(values: Values, n: int) -> Values:
    return {
        "seconds": values["seconds"],
        "images_per_s": n / values["seconds"],
        "cpu_ms_per_image": 1e3 * values["cpu_seconds"] / n,
    }


def measured(pool: np.ndarray, repetitions: int) -> tuple[list[Row], Row]:
    """Return the rows, and the floor: FLOPs of an image and the GEMM rate of the machine."""
    from al_tf import KerasImageClassifier, build_cnn

    labels = np.random.default_rng(SEED).integers(0, 10, 64)
    ours = KerasImageClassifier(classes=range(10), epochs=1, random_state=SEED)
    ours.fit(pool[:64], labels)
    half = KerasImageClassifier(
        model_params={"dtype": "mixed_bfloat16"}, classes=range(10), epochs=1, random_state=SEED
    ).fit(pool[:64], labels)
    model = build_cnn(pool.shape[1:], 10)
    scaled = pool.astype(np.float32) / 255
    n = len(pool)
    work = {
        "al_tf: probabilities": lambda: ours.predict_proba(pool),
        "al_tf: probabilities and features": lambda: ours.predict_with_features(pool),
        "al_tf, bfloat16: probabilities": lambda: half.predict_proba(pool),
        "model.predict, by default": lambda: model.predict(scaled, verbose=0),
        "model.predict, batches of 512": lambda: model.predict(scaled, batch_size=512, verbose=0),
        "model.predict, 512, scaling counted": lambda: model.predict(
            pool.astype(np.float32) / 255, batch_size=512, verbose=0
        ),
    }
    cases = {name: lambda f=f: per_image(timed(f), n) for name, f in work.items()}
    for f in work.values():  # traces
        f()
    try:
        cases |= peers(pool)
    except Skipped as reason:
        print(f"SKIPPED SciKeras: {reason}")
    floor = {"flops_per_image": flops_per_image(model), "gemm_flops": gemm_flops()}
    rows = medians(interleaved(cases, repetitions))
    return rows, floor


def peers(pool: np.ndarray) -> dict:
    python = peer_python("scikeras")

    def case() -> Values:
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "pool.npy", pool)
            done = isolated("sides/inference.py", Path(folder) / "pool.npy", python=python)
        return per_image(done.answer, len(pool))

    return {"SciKeras, by default": case}


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=5, quick=3)
    n = 5_000 if args.quick else 50_000
    facts = machine()
    pool = np.random.default_rng(SEED).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    rows, floor = measured(pool, args.repetitions)
    rate = {row["case"]: row["images_per_s"] for row in rows}
    for row in rows:
        row["ratio_default"] = row["images_per_s"] / rate["model.predict, by default"]
        row["ratio_512"] = row["images_per_s"] / rate["model.predict, batches of 512"]
        row["share_of_gemm"] = row["images_per_s"] * floor["flops_per_image"] / floor["gemm_flops"]
    print(f"\n{table(rows, COLUMNS)}\n")
    print(
        f"An image takes {floor['flops_per_image'] / 1e6:.1f} MFLOP; float32 GEMM runs at "
        f"{floor['gemm_flops'] / 1e9:.0f} GFLOP/s here: at most "
        f"{floor['gemm_flops'] / floor['flops_per_image']:,.0f} images/s."
    )
    features = rate["al_tf: probabilities"] / rate["al_tf: probabilities and features"]
    print(f"Probabilities and features take {features:.2f} × the time of probabilities alone.")
    try:
        more = {"peer_versions": versions(peer_python("scikeras"))}
    except Skipped:
        more = {}
    what = f"{n:,} random uint8 images of 28 × 28, build_cnn, ten classes"
    path = write("inference", what, rows, facts, floor=floor, features_cost=features, **more)
    picture = bars("inference", "Scoring a pool", {what: rows}, "images_per_s", "images a second")
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
