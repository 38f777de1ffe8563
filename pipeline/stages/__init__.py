"""The stages: one file each, with its options, what it decides and how, and at its end the `STAGE` that says what runs when.

Importing this package imports no stage; `pipeline.config.registry` lists them.
"""

from __future__ import annotations

import importlib
from typing import Any

from pipeline.config.registry import StageEntry
from pipeline.store.stage import Stage


def load(entry: StageEntry) -> Stage[Any]:
    """Import a stage."""
    stage = importlib.import_module(entry.module).STAGE
    assert isinstance(stage, Stage), entry.module
    return stage
