"""Teach a small network to read the painter's tags, and export it with the WD contract.

Contract: one input (N, S, S, 3) float32, BGR, 0–255, N free; one output (N, tags) of probabilities.
"""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from train.miniature.painter import paint
from train.miniature.scenes import RATINGS, Scene, true_tags, vocabulary

log = logging.getLogger(__name__)
SIDE = 96


class TaggerNetwork(nn.Module):
    """Convolutions down to 6×6, mean and maximum over the places, one probability a tag."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        widths = ((3, 24, 2), (24, 48, 2), (48, 48, 1), (48, 80, 2), (80, 80, 1), (80, 112, 2), (112, 112, 1))
        layers: list[nn.Module] = []
        for wide, out, stride in widths:
            layers += [nn.Conv2d(wide, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(2 * 112, tags)

    def logits(self, images: Tensor) -> Tensor:
        """(N, S, S, 3) BGR 0–255 → (N, tags)."""
        features = self.body(images.permute(0, 3, 1, 2) / 127.5 - 1)
        logits: Tensor = self.head(torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()


def prepared(image: Image.Image) -> np.ndarray:
    """As WD taggers want it: padded to a square on white, bicubic to (S, S, 3), BGR uint8."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC))[:, :, ::-1].copy()


def truth(scenes: list[Scene]) -> Tensor:
    """(N, tags) of 0 and 1; every painted image is rated general."""
    names = [name for name, _ in vocabulary()]
    place = {name: index for index, name in enumerate(names)}
    table = torch.zeros(len(scenes), len(names))
    table[:, place[RATINGS[0]]] = 1
    for row, scene in enumerate(scenes):
        table[row, [place[tag] for tag in true_tags(scene)]] = 1
    return table


def painted(scenes: list[Scene], large: float = 0.15) -> np.ndarray:
    """(N, S, S, 3) BGR uint8; a share of the images comes from larger ones, as users have them."""
    every = round(1 / large)
    return np.stack([prepared(paint(scene, 3.0 if index % every == 0 else 1.0)) for index, scene in enumerate(scenes)])


def disturbed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, blur and dirty a batch (N, S, S, 3), so that a decoded sample's flaws do not matter."""
    shift = torch.randint(-5, 6, (2,), generator=generator).tolist()
    images = torch.roll(images, (shift[0], shift[1]), (1, 2))
    if torch.rand((), generator=generator) < 0.5:
        planes = images.permute(0, 3, 1, 2)
        size = int(torch.randint(56, SIDE, (), generator=generator))
        small = functional.interpolate(planes, (size, size), mode="bilinear", antialias=True)
        images = functional.interpolate(small, (SIDE, SIDE), mode="bilinear").permute(0, 2, 3, 1)
    gain = 1 + 0.08 * torch.randn(len(images), 1, 1, 3, generator=generator)
    noise = torch.rand(len(images), 1, 1, 1, generator=generator) * 14
    return (images * gain + noise * torch.randn(images.shape, generator=generator)).clamp(0, 255)


def learn_tagger(scenes: list[Scene], epochs: int, seed: int, batch: int = 64) -> TaggerNetwork:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = torch.from_numpy(painted(scenes)), truth(scenes)
    model = TaggerNetwork(labels.shape[1])
    steps = epochs * (len(scenes) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    step = 0
    for epoch in range(epochs):
        for chosen in torch.randperm(len(scenes), generator=generator)[: len(scenes) // batch * batch].split(batch):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model.logits(disturbed(images[chosen].float(), generator))
            loss = functional.binary_cross_entropy_with_logits(logits.float(), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
        log.info("tagger epoch %d/%d loss %.4f", epoch + 1, epochs, loss.item())
    return model.eval()


def export_tagger(model: TaggerNetwork, folder: Path, counts: Tensor) -> None:
    """Write model.onnx and selected_tags.csv; `counts` says how often each tag occurred in training."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model,
        (torch.zeros(2, SIDE, SIDE, 3),),
        folder / "model.onnx",
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "N"}, "output": {0: "N"}},
        opset_version=17,
        dynamo=False,
    )
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["tag_id", "name", "category", "count"])
        for index, (name, category) in enumerate(vocabulary()):
            rows.writerow([index + 1, name.replace(" ", "_"), category, int(counts[index])])
