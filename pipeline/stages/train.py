"""Train an adapter on the set: buckets, multipliers, captions and regularization twins as they were decided."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.basemodel import base_identity
from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Plan
from pipeline.stage import Progress
from train.recipe import Recipe as Options

__all__ = ["NAME", "READS", "Options", "missing", "observe", "plan", "work"]
NAME = "train"
READS = ("images", "keep", "bucket", "caption", "multiplier", "twin")


def observe(manifest: Manifest, options: Options) -> str:
    regularized = manifest.last_run("regularize")
    return f"{base_identity(manifest, options.base, options.revision)} {regularized.digest if regularized else ''}"


def plan(manifest: Manifest, options: Options) -> Plan:
    """What training would come to; it decides nothing about pictures."""
    kept, multipliers, twins = manifest.kept(), manifest.decisions("multiplier"), manifest.decisions("twin")
    for field, stage in (("bucket", "bucket"), ("caption", "curate"), ("multiplier", "balance")):
        decided = manifest.decisions(field)
        without = [image.path for image in kept if image.path not in decided]
        if without:
            raise PrepError(
                f"{len(without)} kept pictures have no {field}, the first is {without[0]}",
                f"run: prep {stage} {manifest.root}",
            )
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


def missing(manifest: Manifest, options: Options) -> str:
    """The adapter, if it is gone."""
    file = manifest.root / "runs" / options.name / f"{options.name}.safetensors"
    return "" if file.is_file() else f"{file} is not there"


def work(manifest: Manifest, options: Options, progress: Progress) -> Mapping[str, int]:
    from train.session import train_adapter

    trained = train_adapter(manifest, options, progress)
    return {"steps": trained.steps, "steps taken up from an earlier run": trained.resumed_from}
