"""What a set and one of its runs give a grid: snapshots, trigger words with their traits, size, and the set's tagger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.commands.report import plain_name
from pipeline.config.settings import options_for, settings_of
from pipeline.store.manifest import Manifest
from pipeline.store.values import read

if TYPE_CHECKING:
    from train.grid.of_run import RunFiles


@dataclass(frozen=True, slots=True)
class Source:
    """What a set and one of its runs give."""

    run: RunFiles | None = None
    triggers: tuple[str, ...] = ()
    format: str = "booru"
    size: tuple[int, int] | None = None
    tagger: str = ""
    traits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    training: Mapping[str, str] = field(default_factory=dict)


def of_set(root: Path, run: str) -> Source:
    from pipeline.report.grid.traits import training_hashes, traits_of
    from pipeline.stages.sample import format_of_captions, trigger_words
    from pipeline.stages.tag import Options as TagOptions
    from train.grid.of_run import run_files

    with Manifest.open(root) as manifest:
        sizes = [bucket.size for bucket in read.buckets(manifest).values()]
        triggers, form = trigger_words(manifest), format_of_captions(manifest)
        traits, training = traits_of(manifest), training_hashes(manifest)
    tagger = options_for("tag", TagOptions, settings_of(root), {}).model
    size = max(sorted(set(sizes)), key=sizes.count) if sizes else None
    return Source(run_files(root, plain_name(run)), triggers, form, size, tagger, traits, training)
