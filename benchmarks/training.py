"""Training throughput: `KerasImageClassifier.fit` beside `model.fit` on fresh and kept models.

    python benchmarks/training.py [--quick] [--repetitions N]

Twenty epochs on 200, 1,000 and 5,000 labeled images in batches of 32 (five epochs on 5,000).
Every fit starts from new weights. "Fresh" builds and compiles the model for each fit, as wrappers
do; "kept" compiles once and loads new weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from _harness import (
    Values,
    arguments,
    bars,
    flops_per_image,
    gemm_flops,
    interleaved,
    machine,
    medians,
    table,
    timed,
    write,
)

from al_tf.seeding import stream

LABELS = {200: 20, 1_000: 20, 5_000: 5}
COLUMNS = {
    "labels": "labels", "case": "", "samples_per_s": "samples/s", "seconds": "seconds",
    "ms_per_step": "ms/step", "cpu_ms_per_step": "CPU ms/step", "ratio": "× fresh",
    "share_of_gemm": "of GEMM rate",
}  # fmt: skip
PASSES = 3  # forward, gradient of the inputs, gradient of the weights


def per_step(fit: Callable[[], Any], n: int, epochs: int) -> Values:
    values = timed(fit)
    steps = n * epochs / 32
    return {
        "seconds": values["seconds"],
        "samples_per_s": n * epochs / values["seconds"],
        "ms_per_step": 1e3 * values["seconds"] / steps,
        "cpu_ms_per_step": 1e3 * values["cpu_seconds"] / steps,
    }


def cases(x: np.ndarray, y: np.ndarray, epochs: int) -> dict[str, Callable[[], Values]]:
    from al_tf import KerasImageClassifier, build_cnn

    scaled, one_hot = x.astype(np.float32) / 255, np.eye(10, dtype=np.float32)[y]
    options = {"epochs": epochs, "batch_size": 32, "verbose": 0}
    kept = build_cnn(x.shape[1:], 10)
    weights = kept.get_weights()

    def al_tf(dtype: str) -> Callable[[], Any]:
        classifier = KerasImageClassifier(
            model_params={"dtype": dtype}, classes=range(10), epochs=1, random_state=0
        )
        classifier.fit(x[:64], y[:64]).set_params(epochs=epochs)
        return lambda: classifier.fit(x, y)

    def on_fresh() -> None:
        build_cnn(x.shape[1:], 10).fit(scaled, one_hot, **options)

    def on_kept() -> None:
        kept.set_weights(weights)
        for variable in kept.optimizer.variables[2:]:  # all but the step count and the rate
            variable.assign(np.zeros(variable.shape, np.float32))
        kept.fit(scaled, one_hot, **options)

    kept.fit(scaled[:64], one_hot[:64], verbose=0)
    fits = {
        "al_tf": al_tf("float32"),
        "al_tf, bfloat16": al_tf("mixed_bfloat16"),
        "model.fit, kept": on_kept,
        "model.fit, fresh": on_fresh,
    }
    return {name: lambda f=f: per_step(f, len(x), epochs) for name, f in fits.items()}


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=3, quick=2)
    sizes = {200: 5} if args.quick else LABELS
    facts = machine()
    from al_tf import build_cnn

    flops, gemm = flops_per_image(build_cnn((28, 28), 10)), gemm_flops()
    rows, panels = [], {}
    for n, epochs in sizes.items():
        print(f"{n:,} labels, {epochs} epochs:")
        rng = stream(0, "training benchmark", n)
        x = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        measured = medians(interleaved(cases(x, rng.integers(0, 10, n), epochs), args.repetitions))
        for row in measured:
            row |= {
                "labels": n,
                "epochs": epochs,
                "ratio": row["samples_per_s"] / measured[-1]["samples_per_s"],
                "share_of_gemm": PASSES * flops * row["samples_per_s"] / gemm,
            }
        rows += measured
        panels[f"{n:,} labels, {epochs} epochs"] = measured
    print(f"\n{table(rows, COLUMNS)}")
    what = "fit of build_cnn to random uint8 images of 28 × 28, batches of 32"
    floor = {"flops_per_sample": PASSES * flops, "gemm_flops": gemm}
    path = write("training", what, rows, facts, floor=floor)
    picture = bars("training", "Training", panels, "samples_per_s", "samples per second")
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
