"""What a stage is: a name, its options, what it reads, and the functions that do its work.

Every file of `pipeline/stages` ends with one, `STAGE = Stage(...)`. Only `plan` is required, and it is pure; what a stage
leaves out has a default here that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan

OptionsT = TypeVar("OptionsT")
ProgressCallback = Callable[[str, int, int], None]
"""Called as progress(what, done, total)."""
ANYTHING = "anything"
"""What work changes that does not say what it changes: in a preview, every later stage waits for it."""


@dataclass(frozen=True, slots=True)
class WorkResult:
    """What the work of a stage came to: counts, `warnings` that are warnings, and `results`: what there is now and where."""

    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """Another look at what a stage would make: a flag, its help, and the lines that are shown in place of a run."""

    flag: str
    help: str
    lines: Callable[[Manifest, Any], Sequence[str]]


def _observe_nothing(manifest: Manifest, options: Any) -> str:
    return ""


def _measure_nothing(manifest: Manifest, options: Any, progress: ProgressCallback) -> None:
    return None


def _miss_nothing(manifest: Manifest, options: Any) -> str:
    return ""


def _no_files(options: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Generic[OptionsT]):
    """A stage with options of type OptionsT: measured, planned, applied and worked on by `pipeline.store.running.runner`."""

    name: str
    """The command and the section of prep.toml."""
    help: str
    """The command's help; its first line stands in the list of commands."""
    options: type[OptionsT]
    """A frozen dataclass whose fields are flags and TOML keys."""
    reads: tuple[str, ...]
    """What the result depends on beside the options: names that `Manifest.digest` takes."""
    choices: tuple[str, ...] = ()
    """Fields of a person's decisions about single images that it keeps to; they count as read where there are any."""
    plan: Callable[[Manifest, OptionsT], Plan]
    """Everything the stage would decide, from what is stored already; writes nothing."""
    observe: Callable[[Manifest, OptionsT], str] = _observe_nothing
    """A cheap look at what lies outside the record (sources, model files), before freshness is judged: more to hash."""
    observes: str = "files"
    """In a word or two, what `observe` looks at, as in `sources changed`."""
    measure: Callable[[Manifest, OptionsT, ProgressCallback], None] = _measure_nothing
    """Measurements that the plan is made from: slow, resumable, stored by content, and done for a preview too."""
    missing: Callable[[Manifest, OptionsT], str] = _miss_nothing
    """Why the stage must run although nothing it reads has changed; "" when it need not."""
    work: Callable[[Manifest, OptionsT, ProgressCallback], WorkResult] | None = None
    """Makes scores, images or adapters after the plan is recorded: slow, resumable, never done for a preview."""
    makes: tuple[str, ...] = (ANYTHING,)
    """What `work` changes, by the names that other stages read it under."""
    files: Callable[[OptionsT], tuple[str, ...]] = _no_files
    """Patterns of the files in the set that `work` makes or replaces, so that a run can be undone."""
    uses: tuple[str, ...] = ()
    """Distributions whose versions are recorded with a run."""
    slow: bool = False
    """Whether `work` takes minutes or hours, so that the plan is shown before it."""
    preview: Preview | None = None
    """Another look at what it would make, in place of a run."""
    run_name: Callable[[OptionsT], str] | None = None
    """The name of a run, where a stage has several side by side, each up to date or stale on its own."""
