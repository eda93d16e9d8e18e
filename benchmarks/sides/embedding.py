"""onnxruntime's side of the embedding benchmark: the same network as an ONNX graph.

    python sides/embedding.py FOLDER BATCH

FOLDER has network.npz (kernels, biases and strides by layer) and images.npz (images, and the
features that must come out).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def graph(arrays: dict[str, np.ndarray], size: int) -> onnx.ModelProto:
    """Return the network: images (n, size, size, 3) of float32 in 0–255 to features (n, 1280)."""
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def add(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    low, high = constant("low", np.float32(0)), constant("high", np.float32(6))
    x = add("Transpose", ["images"], "transposed", perm=[0, 3, 1, 2])
    x = add("Sub", [x, constant("mean", np.float32(127))], "centered")
    x = add("Mul", [x, constant("scale", np.float32(1 / 128))], "scaled")
    side, channels = size, 3
    names = [name.removesuffix(".kernel") for name in arrays if name.endswith(".kernel")]
    shortcut, shortcut_shape = x, (0, 0)
    for name in names:
        kernel, stride = arrays[f"{name}.kernel"], int(arrays[f"{name}.strides"][0])
        if "expand" in name or ("depthwise" in name and f"{prefix(name)}_expand_conv" not in names):
            shortcut, shortcut_shape = x, (side, channels)
        new_side = -(-side // stride)
        padding = max(0, (new_side - 1) * stride + kernel.shape[2] - side)  # as TensorFlow's "same"
        before, after = padding // 2, padding - padding // 2
        side, channels = new_side, kernel.shape[0]
        x = add(
            "Conv",
            [x, constant(f"{name}.w", kernel), constant(f"{name}.b", arrays[f"{name}.bias"])],
            name,
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=kernel.shape[0] if "depthwise" in name else 1,
        )
        if "project" not in name:
            x = add("Clip", [x, low, high], f"{name}.relu")
        elif shortcut_shape == (side, channels):
            x = add("Add", [shortcut, x], f"{name}.add")
    x = add("GlobalAveragePool", [x], "pooled")
    add("Flatten", [x], "features")
    built = helper.make_graph(
        nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", size, size, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", channels])],
        constants,
    )
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model


def prefix(name: str) -> str:
    return name.split("_")[0]


def main() -> None:
    folder, batch = Path(sys.argv[1]), int(sys.argv[2])
    with np.load(folder / "images.npz") as file:
        images, expected = file["images"], file["features"]
    with np.load(folder / "network.npz") as file:
        arrays = dict(file)
    model = graph(arrays, images.shape[1]).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def embed() -> np.ndarray:
        parts = [images[i : i + batch] for i in range(0, len(images), batch)]
        return np.concatenate(
            [session.run(None, {"images": part.astype(np.float32)})[0] for part in parts]
        )

    np.testing.assert_allclose(embed(), expected, atol=1e-3)
    wall, cpu = time.perf_counter(), time.process_time()
    embed()
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
