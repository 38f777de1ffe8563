"""Train an adapter on the set: buckets, multipliers, captions and regularization twins as they were decided."""

from __future__ import annotations

import glob
from collections.abc import Mapping

from pipeline.basemodel import base_identity
from pipeline.decided import all_decided
from pipeline.manifest import Manifest
from pipeline.records import Plan
from pipeline.stage import Progress
from train.recipe import Recipe as Options

__all__ = ["NAME", "OBSERVES", "READS", "USES", "Options", "files", "missing", "observe", "plan", "work"]
NAME = "train"
READS = ("images", "keep", "bucket", "caption", "multiplier", "twin")
OBSERVES = "base model or regularization pictures"
USES = ("torch", "diffusers", "transformers", "accelerate", "lycoris-lora")


def observe(manifest: Manifest, options: Options) -> str:
    regularized = manifest.last_run("regularize")
    return f"{base_identity(manifest, options.base, options.revision)} {regularized.digest if regularized else ''}"


def plan(manifest: Manifest, options: Options) -> Plan:
    """What training would come to; it decides nothing about pictures."""
    all_decided(manifest)
    kept, multipliers, twins = manifest.kept(), manifest.decisions("multiplier"), manifest.decisions("twin")
    showings = sum(multipliers[image.path].value["exact"] for image in kept)
    paired = sum(image.path in twins for image in kept) if options.prior_loss_weight else 0
    counts = {"pictures": len(kept), "showings an epoch": round(showings), "regularization twins": paired}
    table = (
        {"adapter": options.algorithm, "rank": options.rank, "base": options.base, "batch size": options.batch_size},
    )
    notes = []
    if 0 < paired < len(kept):
        notes.append(f"{len(kept) - paired} pictures have no twin; make them with: prep regularize {manifest.root}")
    return Plan(NAME, (), counts=counts, notes=tuple(notes), table=table)


def files(options: Options) -> tuple[str, ...]:
    """The adapter and what it was made by; its state and log are no results."""
    folder = f"runs/{glob.escape(options.name)}"
    return f"{folder}/{glob.escape(options.name)}*.safetensors", f"{folder}/recipe.json"


def missing(manifest: Manifest, options: Options) -> str:
    """The adapter, if it is gone."""
    file = manifest.root / "runs" / options.name / f"{options.name}.safetensors"
    return "" if file.is_file() else f"{file} is not there"


def work(manifest: Manifest, options: Options, progress: Progress) -> Mapping[str, int]:
    from train.session import train_adapter

    trained = train_adapter(manifest, options, progress)
    return {"steps": trained.steps, "steps taken up from an earlier run": trained.resumed_from}
