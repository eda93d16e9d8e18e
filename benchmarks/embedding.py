"""Embedding images with EfficientNet-Lite0: this package beside `model.predict` and onnxruntime.

    python benchmarks/embedding.py [--quick] [--repetitions N]

All are given random uint8 images that have the network's size already, and nothing is kept on disk.
`model.predict` runs the network as one would build it, with its batch normalizations, in batches of
32 and of the size that this package uses; onnxruntime runs it with these folded into the
convolutions, as this package does. Its features are checked against ours before it is timed.
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
SIZES = (96, 128, 224)
PREDICT = "model.predict, by default"
COLUMNS = {
    "size": "pixels", "case": "", "images_per_s": "images/s", "cpu_ms_per_image": "CPU ms/image",
    "ratio_predict": "× predict", "share_of_gemm": "of GEMM rate",
}  # fmt: skip


def per_image(values: Values, n: int) -> Values:
    return {
        "seconds": values["seconds"],
        "images_per_s": n / values["seconds"],
        "cpu_ms_per_image": 1e3 * values["cpu_seconds"] / n,
    }


def measured(size: int, n: int, repetitions: int) -> tuple[list[Row], int]:
    """Return the rows of one size and the FLOPs of an image."""
    from al_tf import load_backbone
    from al_tf.network.forward_pass import full_float32

    def predict(**options: int) -> np.ndarray:
        with full_float32():  # on a GPU, too: else features are others
            return model.predict(images, verbose=0, **options)

    images = np.random.default_rng(SEED).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    backbone = load_backbone("efficientnet_lite0", size=size)
    model = backbone.keras_model((size, size, 3))
    batch = backbone.images_a_pass(images.shape[1:])
    work = {
        "al_tf": lambda: backbone.features(images, cache_dir=False),
        PREDICT: predict,
        f"model.predict, batches of {batch}": lambda: predict(batch_size=batch),
    }
    reference = {name: np.asarray(f()) for name, f in work.items()}  # traces
    for name, features in reference.items():
        if not np.allclose(features, reference["al_tf"], atol=1e-3):
            raise AssertionError(f"{name} gives other features than al_tf")
    cases = {name: lambda f=f: per_image(timed(f), n) for name, f in work.items()}
    try:
        cases |= peers(images, reference["al_tf"], batch)
    except Skipped as reason:
        print(f"SKIPPED onnxruntime: {reason}")
    rows = medians(interleaved(cases, repetitions))
    body = next(layer for layer in model.layers if hasattr(layer, "layers"))
    return rows, flops_per_image(body)


def peers(images: np.ndarray, features: np.ndarray, batch: int) -> dict:
    python = peer_python("onnxruntime")

    def case() -> Values:
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / "network.npz", **folded_network(images.shape[1]))
            np.savez(Path(folder) / "images.npz", images=images, features=features)
            done = isolated("sides/embedding.py", folder, batch, python=python)
        return per_image(done.answer, len(images))

    return {f"onnxruntime, batches of {batch}": case}


def folded_network(size: int) -> dict[str, np.ndarray]:
    """Return kernels and biases of the network in its order, under the names of its layers."""
    from al_tf.network import efficientnet_lite

    network = efficientnet_lite.build_network(size, folded=True)
    efficientnet_lite.load_weights(network, efficientnet_lite.read_weights())
    arrays = {}
    for layer in network.layers:
        if layer.name.endswith("_conv"):
            kernel, bias = layer.get_weights()
            depthwise = "depthwise" in layer.name
            order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
            arrays[f"{layer.name}.kernel"] = kernel.transpose(order)  # (out, in, h, w), as in ONNX
            arrays[f"{layer.name}.bias"] = bias
            arrays[f"{layer.name}.strides"] = np.array(layer.strides)
    return arrays


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=5, quick=3)
    facts = machine()
    gemm = gemm_flops()
    groups: dict[str, list[Row]] = {}
    floor = {"gemm_flops": gemm}
    for size in SIZES:
        n = (64 if args.quick else 2048) * 96**2 // size**2
        rows, flops = measured(size, n, args.repetitions)
        floor[f"flops_per_image_{size}"] = flops
        rate = {row["case"]: row["images_per_s"] for row in rows}
        for row in rows:
            row["size"] = size
            row["ratio_predict"] = row["images_per_s"] / rate[PREDICT]
            row["share_of_gemm"] = row["images_per_s"] * flops / gemm
        print(f"\n{table(rows, COLUMNS)}", flush=True)
        groups[f"{n:,} images of {size} × {size} pixels, {flops / 1e6:.0f} MFLOP each"] = rows
    every = [row for rows in groups.values() for row in rows]
    print(f"\n{table(every, COLUMNS)}\n\nfloat32 GEMM runs at {gemm / 1e9:.0f} GFLOP/s here.")
    try:
        more = {"peer_versions": versions(peer_python("onnxruntime"))}
    except Skipped:
        more = {}
    what = "random uint8 RGB images of the network's size, EfficientNet-Lite0 without its head"
    path = write("embedding", what, every, facts, floor=floor, **more)
    picture = bars("embedding", "Embedding images", groups, "images_per_s", "images a second")
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
