"""What tagging costs beside the bare model and bare decoding: python -m tests.benchmarks.tagging [--images 32].

All ratios are of one run, with the same model, the same batches and the same number of threads. The ways take turns, a
few rounds each; other work on the machine disturbs the clock, so beside the best round by the clock stands what a
image costs in processor time, over all rounds:

- a ViT-B/16 of random weights at 448 pixels, against ONNX Runtime alone on tensors that lie ready;
- a model that costs next to nothing, against decoding and padding alone; how busy the cores are;
- both against decoding an image, then scoring it, then the next;
- decoding large JPEGs exactly and fast.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pipeline.core.decoding.image_io import load_rgb
from pipeline.stages.tag import load_reduced
from taggers.engine import OnnxTagger, cores, load_tagger
from taggers.resize import Feed, least_size, square
from tests.benchmarks.decode import paint

SIDE, PATCH, LAYERS, WIDTH, HEADS = 448, 16, 12, 768, 12
LARGE = (4000, 3000)


class Graph:
    """An ONNX graph that grows node by node, with random weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(0)

    def weight(self, *shape: int, value: float | None = None) -> str:
        filled = (
            self.random.normal(0, 0.02, shape).astype(np.float32)
            if value is None
            else np.full(shape, value, np.float32)
        )
        return self.constant(filled)

    def constant(self, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(values, f"w{len(self.weights)}"))
        return str(self.weights[-1].name)

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, x: str, inward: int, outward: int) -> str:
        return self.add("Add", self.add("MatMul", x, self.weight(inward, outward)), self.weight(outward, value=0.0))

    def norm(self, x: str) -> str:
        return self.add(
            "LayerNormalization", x, self.weight(WIDTH, value=1.0), self.weight(WIDTH, value=0.0), axis=-1, epsilon=1e-6
        )

    def save(self, folder: Path, output: str, labels: int) -> None:
        self.nodes[-1].output[0] = output
        graph = helper.make_graph(
            self.nodes,
            "model",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", labels])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        rows = [f"{place},tag_{place},0,1" for place in range(labels)]
        (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n" + "\n".join(rows) + "\n")


def attention(graph: Graph, x: str) -> str:
    tokens, deep = (SIDE // PATCH) ** 2, WIDTH // HEADS
    heads = graph.constant(np.array([-1, tokens, HEADS, deep]))
    query, key, value = (
        graph.add("Transpose", graph.add("Reshape", graph.linear(x, WIDTH, WIDTH), heads), perm=perm)
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    )
    scale = graph.constant(np.array(deep**-0.5, np.float32))
    seen = graph.add("Softmax", graph.add("Mul", graph.add("MatMul", query, key), scale), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", seen, value), perm=[0, 2, 1, 3])
    whole = graph.add("Reshape", mixed, graph.constant(np.array([-1, tokens, WIDTH])))
    return graph.linear(whole, WIDTH, WIDTH)


def gelu(graph: Graph, x: str) -> str:
    half, one = graph.constant(np.array(0.5, np.float32)), graph.constant(np.array(1.0, np.float32))
    bent = graph.add("Erf", graph.add("Mul", x, graph.constant(np.array(2**-0.5, np.float32))))
    return graph.add("Mul", graph.add("Mul", x, half), graph.add("Add", bent, one))


def vit(folder: Path, labels: int = 10861) -> None:
    """ViT-B/16: 86 million parameters without the head, pixels 0–255 in, probabilities out."""
    graph = Graph()
    x = graph.add("Mul", "input", graph.constant(np.array(1 / 255, np.float32)))
    x = graph.add(
        "Conv",
        graph.add("Transpose", x, perm=[0, 3, 1, 2]),
        graph.weight(WIDTH, 3, PATCH, PATCH),
        strides=[PATCH, PATCH],
    )
    x = graph.add("Reshape", x, graph.constant(np.array([0, WIDTH, (SIDE // PATCH) ** 2])))
    x = graph.add("Add", graph.add("Transpose", x, perm=[0, 2, 1]), graph.weight((SIDE // PATCH) ** 2, WIDTH))
    for _ in range(LAYERS):
        x = graph.add("Add", x, attention(graph, graph.norm(x)))
        wide = gelu(graph, graph.linear(graph.norm(x), WIDTH, 4 * WIDTH))
        x = graph.add("Add", x, graph.linear(wide, 4 * WIDTH, WIDTH))
    x = graph.add("ReduceMean", graph.norm(x), graph.constant(np.array([1])), keepdims=0)
    graph.add("Sigmoid", graph.linear(x, WIDTH, labels))
    graph.save(folder, "output", labels)


def trifle(folder: Path, labels: int = 10861) -> None:
    """A model that costs next to nothing, and finds about a hundred tags worth storing, as real ones do."""
    graph = Graph()
    thinned = graph.add(
        "AveragePool", graph.add("Transpose", "input", perm=[0, 3, 1, 2]), kernel_shape=[1, 1], strides=[64, 64]
    )
    means = graph.add("ReduceMean", thinned, graph.constant(np.array([2, 3])), keepdims=0)
    dimmed = graph.add("Mul", means, graph.constant(np.array(0.3, np.float32)))
    graph.add("Sigmoid", graph.add("Add", graph.linear(dimmed, 3, labels), graph.weight(labels, value=-8.0)))
    graph.save(folder, "output", labels)


class Ways:
    """What several ways of doing the same came to: images a second in the best round, processor seconds an image."""

    def __init__(self, against: str) -> None:
        self.against = against
        self.rate: dict[str, float] = {}
        self.busy: dict[str, float] = {}
        self.used: dict[str, float] = {}
        self.images: dict[str, int] = {}

    @contextmanager
    def round(self, name: str, images: int) -> Iterator[None]:
        start, before = time.perf_counter(), sum(os.times()[:2])
        yield
        seconds, used = time.perf_counter() - start, sum(os.times()[:2]) - before
        self.used[name] = self.used.get(name, 0) + used
        self.images[name] = self.images.get(name, 0) + images
        if images / seconds > self.rate.get(name, 0):
            self.rate[name], self.busy[name] = images / seconds, used / seconds / cores()

    def show(self, title: str) -> None:
        print(title)
        costs = {name: used / self.images[name] for name, used in self.used.items()}
        for name, rate in self.rate.items():
            print(
                f"  {name:<16} {rate:9.2f} images/s, {rate / self.rate[self.against]:6.3f} of {self.against}, "
                f"cores {self.busy[name]:4.0%} busy; {costs[name] * 1000:8.2f} ms of processor time an image, "
                f"{costs[self.against] / costs[name]:6.3f} of {self.against}"
            )


def bare_model(session: Any, tagger: OnnxTagger, tensors: np.ndarray, batch: int) -> None:
    for start in range(0, len(tensors), batch):
        session.run([tagger.output], {tagger.input: tensors[start : start + batch]})


def bare_decoding(tagger: OnnxTagger, files: Sequence[Path], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda file: square(load_rgb(file), tagger.side, tagger.spec).nbytes, files):
            pass


def one_by_one(tagger: OnnxTagger, files: Sequence[Path]) -> None:
    infer = tagger.inference(1)
    for file in files:
        tagger._sparse(infer(square(load_rgb(file), tagger.side, tagger.spec)[None])[0])


def engine(tagger: OnnxTagger, files: Sequence[Path], decoders: int) -> None:
    scored = [
        each for batch in tagger.score(((str(file), file) for file in files), load_rgb, 0, decoders) for each in batch
    ]
    assert len(scored) == len(files) and not any(each.problem for each in scored)


def measure(folder: Path, files: Sequence[Path], rounds: int, decoders: int, against: str) -> Ways:
    """Time prep's engine, and what it is measured against: the model in a session as ONNX Runtime opens it by itself."""
    tagger = load_tagger(str(folder), "cpu")
    bare = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    batch, feed = 4, Feed(tagger.spec)
    ready = [feed(square(load_rgb(file), tagger.side, tagger.spec)[None]).copy() for file in files[:batch]]
    tensors = np.concatenate(ready * (len(files) // batch))
    ways = Ways(against)
    for _ in range(rounds):
        with ways.round("bare model", len(tensors)):
            bare_model(bare, tagger, tensors, batch)
        with ways.round("prep", len(files)):
            engine(tagger, files, decoders)
        if against == "bare decoding":
            with ways.round("bare decoding", len(files)):
                bare_decoding(tagger, files, decoders or cores())
        with ways.round("one by one", len(files)):
            one_by_one(tagger, files)
    return ways


def large_jpegs(folder: Path, rounds: int) -> Ways:
    """Decoding and padding of large JPEGs, one thread."""
    noise = np.random.default_rng(0).integers(0, 255, (LARGE[1] // 8, LARGE[0] // 8, 3), np.uint8)
    file = folder / "large.jpg"
    Image.fromarray(noise).resize(LARGE, Image.Resampling.BICUBIC).save(file, quality=90)
    spec = load_tagger("miniature", "cpu").spec
    least = functools.partial(least_size, side=SIDE, spec=spec, times=2)
    loads: dict[str, Callable[[], Image.Image]] = {
        "exact": lambda: load_rgb(file),
        "fast": lambda: load_reduced(file, least),
    }
    found = Ways("exact")
    for _ in range(rounds):
        for name, load in loads.items():
            with found.round(name, 4):
                for _ in range(4):
                    square(load(), SIDE, spec)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--images", type=int, default=8, help="a round for the large model; the small one takes 30 times"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--decoders", type=int, default=0)
    parser.add_argument("--only", choices=("vit", "trifle", "jpeg"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = [folder / f"{seed:02}.jpg" for seed in range(max(16, asked.images))]
        for seed, file in enumerate(files):
            paint(file, seed)
        if asked.only in (None, "vit"):
            vit(folder / "vit")
            found = measure(folder / "vit", files[: asked.images], asked.rounds, asked.decoders, "bare model")
            found.show(f"ViT-B/16, {asked.images} JPEGs of 1024×1024, {asked.rounds} rounds")
        if asked.only in (None, "trifle"):
            trifle(folder / "trifle")
            many = (files * 30)[: asked.images * 30]
            found = measure(folder / "trifle", many, asked.rounds, asked.decoders, "bare decoding")
            found.show(f"a model that costs nothing, {len(many)} JPEGs of 1024×1024, {asked.rounds} rounds")
        if asked.only in (None, "jpeg"):
            large_jpegs(folder, asked.rounds).show(f"decoding JPEGs of {LARGE[0]}×{LARGE[1]}, one thread")


if __name__ == "__main__":
    main()
