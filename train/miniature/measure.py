"""How good the miniature's models are, in figures that its model card publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from taggers.engine import OnnxTagger, load_tagger
from train.miniature.examples import prompt
from train.miniature.painter import paint
from train.miniature.scenes import RATINGS, Scene, true_tags, vocabulary
from train.models.load import load_base
from train.models.sampling.generate import Request, Sampling, generate

THRESHOLD = 0.5
STEPS, GUIDANCE = 25, 5.0


def scores_of(tagger: OnnxTagger, images: Sequence[Image.Image]) -> list[Mapping[str, float]]:
    """Tag → probability for each image, in order."""
    keyed = ((str(index), image) for index, image in enumerate(images))
    return [scored.scores for batch in tagger.score(keyed, lambda image: image, batch_size=16) for scored in batch]


def measure_tagger(folder: Path, unseen: Sequence[Scene]) -> dict[str, Any]:
    """Micro-F1 at the threshold, and precision, recall and count of every tag, over unseen images."""
    found = scores_of(
        load_tagger(str(folder)), [paint(scene, 3.0 if index % 4 == 0 else 1.0) for index, scene in enumerate(unseen)]
    )
    names = [name for name, category in vocabulary() if name not in RATINGS]
    said = np.array([[scores.get(name, 0.0) >= THRESHOLD for name in names] for scores in found])
    true = np.array([[name in tags for name in names] for tags in (set(true_tags(scene)) for scene in unseen)])
    right = (said & true).sum(0)
    rows = {
        name: {
            "precision": _ratio(right[index], said[:, index].sum()),
            "recall": _ratio(right[index], true[:, index].sum()),
            "count": int(true[:, index].sum()),
        }
        for index, name in enumerate(names)
    }
    return {
        "images": len(unseen),
        "threshold": THRESHOLD,
        "micro_f1": round(2 * float(right.sum()) / float(said.sum() + true.sum()), 4),
        "tags": rows,
    }


def measure_base(base_folder: Path, tagger_folder: Path, unseen: Sequence[Scene]) -> dict[str, Any]:
    """The share of prompted traits that the tagger finds in DDIM samples of unseen prompts, and the worst tags."""
    base, tagger = load_base(str(base_folder)), load_tagger(str(tagger_folder))
    requests = [Request(prompt(scene), 7000 + index, scene.size) for index, scene in enumerate(unseen)]
    found = scores_of(tagger, generate(base, requests, Sampling(STEPS, GUIDANCE), batch_size=16))
    wanted = [request.prompt.split(", ") for request in requests]
    hits: dict[str, list[bool]] = {}
    for tags, scores in zip(wanted, found, strict=True):
        for tag in tags:
            hits.setdefault(tag, []).append(scores.get(tag, 0.0) >= THRESHOLD)
    every = [hit for tag in hits.values() for hit in tag]
    return {
        "prompts": len(unseen),
        "steps": STEPS,
        "guidance": GUIDANCE,
        "found": round(sum(every) / len(every), 4),
        "tags": {
            tag: {"found": _ratio(sum(rows), len(rows)), "count": len(rows)} for tag, rows in sorted(hits.items())
        },
    }


def _ratio(part: Any, whole: Any) -> float | None:
    return round(float(part) / float(whole), 4) if whole else None


def model_card(
    figures: Mapping[str, Any],
    autoencoder: Mapping[str, int],
    base: Mapping[str, int],
    text: Mapping[str, int],
    tagger: Mapping[str, int],
) -> str:
    """The card in Markdown."""
    seen, drawn = figures["tagger"], figures["base"]
    tags = [
        f"| {name} | {_shown(row['precision'])} | {_shown(row['recall'])} | {row['count']} |"
        for name, row in seen["tags"].items()
    ]
    prompted = [f"| {name} | {_shown(row['found'])} | {row['count']} |" for name, row in drawn["tags"].items()]
    return (
        f"""# The miniature: a tiny Stable Diffusion world

Everything here was painted and trained by the code beside this card, from a seed; nothing was downloaded.
Rebuild it with `python -m train.miniature.build WORK --install` (about an hour and a half on two CPU cores; another
processor rounds otherwise, so a rebuilt model is as good but not equal to the bit). The weights here were trained part
by part with that code.

- **Painter** (`scenes.py`, `painter.py`): booru-like characters at 64×64 pixels and larger, with every image's true tags.
- **Base model** (`base/`): SD 1.x architecture in diffusers format, half precision. AutoencoderKL with 4 latent channels,
  one latent pixel for 4×4; UNet of (64, 128) channels with cross-attention on both levels; CLIP text model of 3 layers,
  width 128, on a BPE vocabulary learned from the tags. Sides are multiples of 8, areas near 64².
  Autoencoder: {autoencoder["steps"]} steps of 24 of {autoencoder["images"]} images. UNet: {base["steps"]} steps of 32 of
  {base["images"]} images in three phases (first the images, with Min-SNR weights; then the prompts, with noisy
  timesteps counting more; then both with a falling rate), moving averages kept. The text model learns to name tags from
  captions alone ({text["steps"]} steps), then with the UNet, and last to tell unknown words apart by their letters
  ({text["spelling"]} steps), so that a new trigger word is a place of its own.
- **Tagger** (`taggers/miniature/`): a small convolutional network, ONNX with the WD contract (NHWC, BGR, 0–255, sigmoid
  inside), {tagger["epochs"]} epochs over {tagger["images"]} images.

It knows the two characters `mira (miniature)` and `tess (miniature)`. It does not know Lumi, Oriel, Pernille and Quill,
who live only in the painted source trees. All painted images are rated general.

## How good it is

- Tagger, {seen["images"]} unseen images, threshold {seen["threshold"]}: **micro-F1 {seen["micro_f1"]:.4f}**.
- Base model, {drawn["prompts"]} unseen prompts, DDIM {drawn["steps"]} steps, guidance {drawn["guidance"]:g}: the tagger finds
  **{drawn["found"]:.1%}** of the prompted tags.

### Tagger, tag by tag

| tag | precision | recall | images |
|---|---|---|---|
"""
        + "\n".join(tags)
        + """

### Base model: how often a prompted tag is found

| tag | found | prompts |
|---|---|---|
"""
        + "\n".join(prompted)
        + "\n"
    )


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
