"""A tagger small enough to compute by hand, with the WD contract: NHWC, BGR, 0–255, sigmoid inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIDE = 32
NAMES = (
    "general",
    "sensitive",
    "questionable",
    "explicit",
    "blue_theme",
    "green_theme",
    "red_theme",
    "bright",
    ">_<",
    "somebody_(test)",
)
CATEGORIES = (9, 9, 9, 9, 0, 0, 0, 0, 0, 4)

STORED = 0.6e-4
"""How far a stored score may be off: half of its fourth and last decimal, and what float32 leaves of the sum."""


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def write_model(
    folder: Path,
    batch: int | str = "N",
    layout: str = "NHWC",
    logits: bool = False,
    outputs: int = 10,
    side: int | str = SIDE,
) -> None:
    """Theme tags are sigmoid((channel mean - 127.5) / 16), `bright` the same of all channels' mean."""
    weights = np.zeros((3, outputs), np.float32)
    bias = np.full(outputs, -9, np.float32)
    for channel in range(3):
        weights[channel, 4 + channel] = 1 / 16
    weights[:, 7] = 1 / 48
    bias[4:8] = -127.5 / 16
    bias[0], bias[8], bias[9] = 3, 2, 4
    shape = [batch, side, side, 3] if layout == "NHWC" else [batch, 3, side, side]
    axes = [1, 2] if layout == "NHWC" else [2, 3]
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["output" if logits else "sum"]),
    ]
    if not logits:
        nodes.append(helper.make_node("Sigmoid", ["sum"], ["output"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, outputs])],
        [
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def write_labels(folder: Path, names: tuple[str, ...] = NAMES, header: str = "tag_id,name,category,count") -> None:
    pairs = zip(names, CATEGORIES, strict=False)
    rows = [f"{place},{name},{category},100" for place, (name, category) in enumerate(pairs)]
    (folder / "selected_tags.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)
