"""Rebuild the miniature world from a seed: paint, train, measure, save.

    python -m train.miniature.build WORK            everything, about an hour and a half on two cores
    python -m train.miniature.build WORK --only tagger

Parts are built in order (autoencoder, base, tagger, measure) and kept in WORK; --install copies them into the package
with the model card.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from train.miniature.examples import groups, scenes
from train.miniature.learn_autoencoder import learn_autoencoder
from train.miniature.learn_base import PHASES, TextSide, learn_base, new_text_model, new_tokenizer, save_base
from train.miniature.learn_tagger import export_tagger, learn_tagger, truth
from train.miniature.learn_text import learn_spelling, learn_text
from train.miniature.measure import measure_base, measure_tagger, model_card

log = logging.getLogger(__name__)
PARTS = ("autoencoder", "base", "tagger", "measure")
AUTOENCODER = {"images": 6000, "steps": 1400}
BASE = {"images": 24000, "steps": sum(phase.stop for phase in PHASES)}
TEXT = {"captions": 8000, "steps": 900, "spelling": 500}
TAGGER = {"images": 16000, "epochs": 10}
SEED = 0


def build_autoencoder(work: Path) -> None:
    painted = groups(AUTOENCODER["images"], seed=1, artists=True)
    learn_autoencoder(painted, AUTOENCODER["steps"], SEED).save_pretrained(work / "autoencoder")


def build_base(work: Path) -> None:
    painted = groups(BASE["images"], seed=2)
    autoencoder = AutoencoderKL.from_pretrained(work / "autoencoder")
    tokenizer = new_tokenizer(work / "base" / "tokenizer")
    unet, reader = None, None
    for number, phase in enumerate(PHASES):
        if reader is None or phase.reader != "kept":
            torch.manual_seed(SEED)
            reader = new_text_model(tokenizer)
        if phase.reader == "taught":
            learn_text(reader, tokenizer, TEXT["captions"], TEXT["steps"], SEED)
        side = TextSide(tokenizer, reader)
        for step, trained, averaged in learn_base(painted, autoencoder, side, phase, SEED + number, unet):
            save_base(work / "base", trained, averaged, tokenizer, autoencoder)
            log.info("saved the base model after step %d of phase %d", step, number + 1)
        unet, reader = trained, averaged
    assert unet is not None and reader is not None
    learn_spelling(reader.requires_grad_(True), tokenizer, TEXT["captions"], TEXT["spelling"], SEED)
    save_base(work / "base", unet, reader, tokenizer, autoencoder)


def build_tagger(work: Path) -> None:
    seen = scenes(TAGGER["images"], seed=4, artists=True)
    export_tagger(learn_tagger(seen, TAGGER["epochs"], SEED), work / "tagger", truth(seen).sum(0))


def build_measure(work: Path) -> None:
    figures = {
        "tagger": measure_tagger(work / "tagger", scenes(2000, seed=5, artists=True)),
        "base": measure_base(work / "base", work / "tagger", scenes(200, seed=6)),
    }
    (work / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (work / "MODEL_CARD.md").write_text(model_card(figures, AUTOENCODER, BASE, TEXT, TAGGER), encoding="utf-8")


def install(work: Path) -> None:
    """Copy what was built into the package."""
    here = Path(__file__).parent
    for source, target in (
        (work / "base", here / "base"),
        (work / "tagger", here.parents[1] / "taggers" / "miniature"),
    ):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    for name in ("figures.json", "MODEL_CARD.md"):
        shutil.copyfile(work / name, here / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for what is built")
    parser.add_argument("--only", choices=PARTS, help="build this part alone, from the earlier ones in WORK")
    parser.add_argument("--install", action="store_true", help="copy the result into the package")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given.work.mkdir(parents=True, exist_ok=True)
    np.seterr(all="raise", under="ignore")
    steps = dict(zip(PARTS, (build_autoencoder, build_base, build_tagger, build_measure), strict=True))
    for part in (given.only,) if given.only else PARTS:
        log.info("building: %s", part)
        steps[part](given.work)
    if given.install:
        install(given.work)


if __name__ == "__main__":
    main()
