"""Models with the contracts that the families of taggers publish, small enough to compute by hand.

Each undoes the normalisation its family publishes and says of the mean of every channel, 0–255, how far it is above
the middle: the logit of `red_theme` is (mean red - 127.5) / 16. The numbers are written out here, not taken from specs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

THEMES = {"R": "red_theme", "G": "green_theme", "B": "blue_theme"}
HIDDEN = -9.0
"""The logit of a label that no image shows."""


@dataclass(frozen=True)
class Family:
    """`order` is that of the channels; they arrive as x / 255 * white, less the mean, over std (in RGB order)."""

    name: str
    model: str
    shape: tuple[object, ...]
    order: str
    white: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: tuple[int, int, int] | None
    outputs: tuple[str, ...]
    write_labels: Callable[[Path], list[str]]
    """Writes the label file and returns the name of every output's label, "" for one without."""


def wd_labels(folder: Path) -> list[str]:
    names = ["general", "sensitive", "questionable", "explicit", *THEMES.values(), "somebody_(test)"]
    rows = [(number, name, (9, 9, 9, 9, 0, 0, 0, 4)[number], 1) for number, name in enumerate(names)]
    _csv(folder / "selected_tags.csv", ("tag_id", "name", "category", "count"), rows)
    return names


def joytag_labels(folder: Path) -> list[str]:
    names = [*THEMES.values(), "1girl"]
    (folder / "top_tags.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return names


def pixai_labels(folder: Path) -> list[str]:
    names = [*THEMES.values(), "somebody_(test)"]
    rows = [(n, 100 + n, name, 4 * (n == 3), 1, '["test, the work"]') for n, name in enumerate(names)]
    _csv(folder / "selected_tags.csv", ("id", "tag_id", "name", "category", "count", "ips"), rows)
    return names


def cl_labels(folder: Path) -> list[str]:
    """The outputs 2 and 5 have no name."""
    found = {0: "general", 1: "red_theme", 3: "green_theme", 4: "blue_theme", 6: "best_quality", 7: "anima"}
    kinds = {0: "Rating", 6: "Quality", 7: "Model"}
    mapping = {str(place): {"tag": tag, "category": kinds.get(place, "General")} for place, tag in found.items()}
    (folder / "tag_mapping.json").write_text(json.dumps(mapping), encoding="utf-8")
    return [found.get(place, "") for place in range(8)]


def camie_labels(folder: Path) -> list[str]:
    names = [*THEMES.values(), "year_2024", "rating_general", "somebody_(artist)"]
    categories = dict(zip(names, ["general"] * 3 + ["year", "rating", "artist"], strict=True))
    mapping = {"idx_to_tag": {str(n): name for n, name in enumerate(names)}, "tag_to_category": categories}
    metadata = {"model_info": {"img_size": 512}, "dataset_info": {"tag_mapping": mapping, "total_tags": len(names)}}
    (folder / "camie-tagger-v2-metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return names


def animetimm_labels(folder: Path) -> list[str]:
    names = [*THEMES.values(), "somebody_(test)", "general"]
    rows = [(n, name, (0, 0, 0, 4, 9)[n], 1, (0.3, 0.7, 0.5, 0.25, "")[n]) for n, name in enumerate(names)]
    _csv(folder / "selected_tags.csv", ("tag_id", "name", "category", "count", "best_threshold"), rows)
    steps = [
        {"type": "pad_to_size", "size": [512, 512], "background_color": "white", "interpolation": "bilinear"},
        {"type": "resize", "size": 384, "interpolation": "bicubic", "max_size": None, "antialias": True},
        {"type": "center_crop", "size": [384, 384]},
        {"type": "maybe_to_tensor"},
        {"type": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    ]
    (folder / "preprocess.json").write_text(json.dumps({"test": steps, "val": steps[1:]}), encoding="utf-8")
    return names


def deepdanbooru_labels(folder: Path) -> list[str]:
    names = [*THEMES.values(), "somebody_(test)", "rating:safe"]
    rows = [(name, name, (0, 0, 0, 4, 9)[n]) for n, name in enumerate(names)]
    _csv(folder / "deepdanbooru_tags.csv", ("name", "real_name", "category"), rows)
    return names


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
WHITE = (255, 255, 255)
ANIMETIMM = "animetimm-caformer_b36-dbv4-full"
FAMILIES = {
    family.name: family
    for family in (
        Family("wd-vit-v3", "model.onnx", ("N", 448, 448, 3), "BGR", 255, *PLAIN, WHITE, ("output",), wd_labels),
        Family(
            "wd-moat-v2",
            "model.onnx",
            (1, 448, 448, 3),
            "BGR",
            255,
            *PLAIN,
            WHITE,
            ("predictions_sigmoid",),
            wd_labels,
        ),
        Family("joytag", "model.onnx", ("N", 3, 448, 448), "RGB", 1, *CLIP, WHITE, ("=output",), joytag_labels),
        Family(
            "pixai-v0.9",
            "model.onnx",
            ("N", 3, 448, 448),
            "RGB",
            1,
            *HALF,
            None,
            ("~embedding", "=logits", "prediction"),
            pixai_labels,
        ),
        Family("cl-tagger-1.02", "model.onnx", ("N", 3, "H", "W"), "BGR", 1, *HALF, WHITE, ("=output",), cl_labels),
        Family(
            "camie-v2",
            "camie-tagger-v2.onnx",
            ("N", 3, 512, 512),
            "RGB",
            1,
            *IMAGENET,
            (124, 116, 104),
            ("!initial_predictions", "=refined_predictions", "~selected_candidates"),
            camie_labels,
        ),
        Family(
            ANIMETIMM,
            "model.onnx",
            ("N", 3, "H", "W"),
            "RGB",
            1,
            *IMAGENET,
            WHITE,
            ("~embedding", "=logits", "prediction"),
            animetimm_labels,
        ),
        Family(
            "deepdanbooru",
            "deepdanbooru.onnx",
            ("N", 512, 512, 3),
            "RGB",
            1,
            *PLAIN,
            (0, 0, 0),
            ("prob",),
            deepdanbooru_labels,
        ),
    )
}


def write_family(folder: Path, family: Family) -> Path:
    """A folder with the family's model and labels, and a model.toml that says what it is like.

    An output called =x gives logits, !x the opposite of them, ~x something of another width, any other probabilities.
    """
    folder.mkdir()
    names = family.write_labels(folder)
    axes = [1, 2] if family.shape[-1] == 3 else [2, 3]
    mean, std = ({channel: value["RGB".index(channel)] for channel in "RGB"} for value in (family.mean, family.std))
    weights, bias = np.zeros((3, len(names)), np.float32), np.full(len(names), HIDDEN, np.float32)
    for place, channel in enumerate(family.order):
        at = names.index(THEMES[channel])
        back = 255 / family.white
        weights[place, at] = std[channel] * back / 16
        bias[at] = (mean[channel] * back - 127.5) / 16
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["raw"]),
    ]
    outputs = []
    for output in family.outputs:
        kind = {"=": "Identity", "!": "Neg", "~": "Identity"}.get(output[0], "Sigmoid")
        name, source, width = output.lstrip("=!~"), "raw", len(names)
        if output[0] == "~":
            source, width = "means", 3
        nodes.append(helper.make_node(kind, [source], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [family.shape[0], width]))
    graph = helper.make_graph(
        nodes,
        "family",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(family.shape))],
        outputs,
        [
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    (folder / family.model).write_bytes(model.SerializeToString())
    (folder / "model.toml").write_text(f'like = "{family.name}"\n', encoding="utf-8")
    return folder


def _csv(file: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
