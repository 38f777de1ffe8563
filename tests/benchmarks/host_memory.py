"""The host's memory for SDXL of full size on a CPU: python -m tests.benchmarks.host_memory [FOLDER].

Writes a single SDXL file in fp16 with random weights (6.5 GiB) and a set of three images at 256², then trains two steps, samples
and regularizes once, each in a process of its own whose peak of resident memory is printed beside the file's size plus 2 GiB.
Takes 10 to 20 minutes on two cores and 20 GiB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from train.models.families.registry import FAMILIES
from train.models.loading.parts import empty_text, empty_unet, empty_vae, text_finder, unet_finder, vae_finder
from train.models.locate import find_folder

GIB = 2**30
SIDE, WORDS = 256, 49408


def shapes_in_file(family: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor of a single file."""
    kind = FAMILIES[family]
    configs = kind.configs()
    parts = [
        (empty_unet(configs["unet"]), unet_finder(configs["unet"])),
        (empty_vae(configs["vae"]), vae_finder(configs["vae"])),
        *((empty_text(configs[part.folder], part.pooled), text_finder(part)) for part in kind.text),
    ]
    seen = set()
    for model, find in parts:
        for name, tensor in model.state_dict().items():
            stored = find(name)
            shape = tuple(reversed(tensor.shape)) if stored.turned else tuple(tensor.shape)
            if stored.key not in seen:
                seen.add(stored.key)
                yield stored.key, (3 * shape[0], *shape[1:]) if stored.third is not None else shape


def write_random(file: Path, family: str) -> None:
    """A safetensors file in fp16, tensor by tensor, with weights that keep what they are shown of about the same size."""
    shapes, at = list(shapes_in_file(family)), 0
    header: dict[str, object] = {"__metadata__": {"modelspec.prediction_type": "epsilon"}}
    for name, shape in shapes:
        size = 2 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    draw = np.random.default_rng(1)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for _, shape in shapes:
            values = (
                draw.standard_normal(shape, np.float32) * np.float32(np.prod(shape[1:]) ** -0.5)
                if len(shape) > 1
                else np.ones(shape)
            )
            stream.write(values.astype(np.float16).tobytes())


def write_images(folder: Path) -> None:
    """Three unlike images with captions."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(2)
    for number in range(3):
        coarse = draw.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"Lumi, 1girl, {('smile', 'hat', 'night')[number]}\n", encoding="utf-8")


def write_tokenizer(folder: Path) -> None:
    """The miniature's vocabulary, filled up to the 49,408 tokens of CLIP's with such as no caption has."""
    source = find_folder("miniature", None) / "tokenizer"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("tokenizer.json"))
    known = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    words = [word for word in sorted(known, key=known.__getitem__) if not word.startswith("<|")]
    words += [f"unused{number}</w>" for number in range(WORDS - 2 - len(words))]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")


def peak(*arguments: str) -> tuple[float, float]:
    """(GiB, seconds) of a command of prep.

    Raises:
        SystemExit: it failed; what it said is printed.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, "-m", "pipeline", *arguments], stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            sys.exit(said.read()[-3000:])
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / GIB, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "prep-host-memory")
    folder = parser.parse_args().folder
    model, root = folder / "sdxl.safetensors", folder / "set"
    if not model.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_random(model, "sdxl")
    if not root.is_dir():
        write_tokenizer(folder / "tokenizer")
        write_images(folder / "images" / "Lumi")
    goal = model.stat().st_size / GIB + 2
    print(f"file {goal - 2:.2f} GiB, goal {goal:.2f} GiB")
    base = ("--base", str(model), "--device", "cpu")
    for stage in (
        ("flatten", str(folder / "images"), str(root)),
        ("check", str(root), "--min-side", "64"),
        ("bucket", str(root), "--resolution", str(SIDE)),
        ("curate", str(root), "--tagger", "none"),
        ("balance", str(root)),
    ):
        peak(*stage)
    tokenizer = str(folder / "tokenizer")
    for name, arguments in (
        (
            "train",
            ("train", str(root), *base, "--tokenizer", tokenizer, "--steps", "2", "--rank", "4", "--batch-size", "1"),
        ),
        (
            "sample",
            ("sample", str(root), "--count", "1", "--steps", "2", "--prompts", "1girl, Lumi", "--device", "cpu"),
        ),
        ("regularize", ("regularize", str(root), *base, "--tokenizer", tokenizer, "--steps", "2")),
    ):
        gib, seconds = peak(*arguments)
        print(f"{name}: {gib:.2f} GiB, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
