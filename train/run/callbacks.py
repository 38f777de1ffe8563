"""What a run does beside its steps: it saves snapshots, measures the validation loss, generates samples, and stops early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.core.files import file_digest
from train.adapters.adapter import Adapter
from train.adapters.export import export_adapter
from train.data.progress import START, Progress
from train.distributed.world import World
from train.evaluation.options import SampleOptions, ValidationOptions
from train.evaluation.samples import GRID, SampleCallback
from train.evaluation.validation import Validation
from train.evaluation.validation_history import ValidationHistory
from train.models.precision import DTYPES
from train.run.milestones import Actions, due
from train.run.options import SavingOptions
from train.run.run_record import note_snapshots
from train.run.snapshots import Snapshot, snapshot_name, thinned, with_best
from train.run.tensorboard import TensorBoard

BEFORE_ALL = -1
"""The step to trim to when a run begins anew: even what was done before the first batch goes."""
ProgressCallback = Callable[[str, int, int], None]
Describe = Callable[[Progress], Mapping[str, str]]
"""The metadata of an adapter as it is at a point of the run."""


@dataclass(slots=True, kw_only=True)
class RunCallbacks:
    """`name` is the run's; `base` is where the base model's files lie; `validation` and `sample_callback` are None where no
    loss is measured and no sample image generated."""

    name: str
    saving: SavingOptions
    validation_options: ValidationOptions
    sample_options: SampleOptions
    adapter: Adapter
    base: Path
    folder: Path
    world: World
    describe: Describe
    progress: ProgressCallback
    validation: Validation | None
    history: ValidationHistory
    sample_callback: SampleCallback | None
    snapshots: list[Snapshot] = field(default_factory=list)
    board: TensorBoard | None = None
    generated: int | None = None
    warnings: tuple[str, ...] = ()

    def begin(self, now: Progress) -> None:
        """Forget what a killed run did after its last state; of a run that begins anew, do what is due before it."""
        step = now.step or BEFORE_ALL
        self.history.trim(step)
        if self.sample_callback:
            self.warnings += self.sample_callback.trim(max(0, now.step))
        self._keep([snapshot for snapshot in self.snapshots if snapshot.step <= step])
        if now.step == 0:
            self.at(START)

    def due(self, now: Progress) -> Actions:
        return due(now, self.saving, self.validation_options, self.sample_options)

    def wants(self, now: Progress) -> bool:
        """Whether anything is due there."""
        return self.due(now).any

    def keeps(self, now: Progress) -> bool:
        """Whether a snapshot is due there, beside which the state is worth keeping too."""
        return self.due(now).snapshot

    def at(self, now: Progress) -> None:
        """Do what is due at a point of the run; the adapter's weights are those to be used."""
        wanted = self.due(now)
        if (
            wanted.evaluate
            and self.validation
            and all(evaluation.step != now.step for evaluation in self.history.evaluations)
        ):
            self._evaluate(now)
        if wanted.snapshot:
            self._save(now, snapshot_name(self.name, now.step, now.epoch, now.ends_epoch))
        if wanted.generate and self.sample_callback and self.generated != now.step:
            self.sample_callback.generate(now.step, now.epoch, self.progress)
            self.generated = now.step
            if self.board:
                self.board.add_image("samples", now.step, self.sample_callback.folder / GRID)
        if self.board and wanted.any:
            self.board.flush()

    def finish(self, now: Progress) -> None:
        """Save the adapter as the run ended, whether it came to its end or stopped before; then validate and sample it
        unless that is done, and note what was measured."""
        name = f"{self.name}.safetensors"
        self._save(now, name)
        self.at(replace(now, last=True))
        self._note(now, name)

    @property
    def enough(self) -> bool:
        """Whether the loss has not fallen for as many validations as `patience` says."""
        return bool(self.validation_options.patience) and self.history.waited >= self.validation_options.patience

    def _evaluate(self, now: Progress) -> None:
        assert self.validation is not None
        evaluation = self.history.add(now.step, now.epoch, self.validation())
        if self.board:
            self.board.add_validation(evaluation)

    def _save(self, now: Progress, name: str) -> None:
        """Write the adapter, note it, and take away the snapshots that are not to be kept."""
        if not self.world.is_main_process:
            return
        precision = DTYPES[self.saving.save_precision]
        export_adapter(
            self.folder / name,
            self.adapter.tensors(),
            self.describe(now),
            self.saving.export_for,
            precision,
            self.base,
        )
        self._note(now, name)

    def _note(self, now: Progress, name: str) -> None:
        """Note a snapshot that is written, with the validation loss where it is measured already."""
        if not self.world.is_main_process:
            return
        losses = {evaluation.step: evaluation.loss for evaluation in self.history.evaluations}
        made = Snapshot(name, now.step, now.epoch, file_digest(self.folder / name), losses.get(now.step))
        others = [snapshot for snapshot in self.snapshots if snapshot.file != name]
        self._keep(with_best([*others, made]))

    def _keep(self, snapshots: list[Snapshot]) -> None:
        """Keep these, but for those that `keep_last` leaves out, and note it before any file goes."""
        if not self.world.is_main_process:
            return
        last = [snapshot for snapshot in snapshots if snapshot.file == f"{self.name}.safetensors"]
        kept, gone = thinned([snapshot for snapshot in snapshots if snapshot not in last], self.saving.keep_last)
        self.snapshots = [*kept, *last]
        note_snapshots(self.folder, self.snapshots)
        for snapshot in gone:
            (self.folder / snapshot.file).unlink(missing_ok=True)
