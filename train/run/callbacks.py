"""What a run does beside its steps: it saves snapshots, looks at the validation loss, paints samples, and says when enough
was learned."""

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
class Watch:
    """`name` is the run's, `measuring` and `sampling` say when that is done; `base` is where the base model's files lie;
    `validation` and `showing` are None where no loss is to be measured and no sample image made."""

    name: str
    saving: SavingOptions
    measuring: ValidationOptions
    sampling: SampleOptions
    adapter: Adapter
    base: Path
    folder: Path
    team: World
    describe: Describe
    progress: ProgressCallback
    validation: Validation | None
    history: ValidationHistory
    showing: SampleCallback | None
    snapshots: list[Snapshot] = field(default_factory=list)
    board: TensorBoard | None = None
    painted: int | None = None
    remarks: tuple[str, ...] = ()

    def begin(self, place: Progress) -> None:
        """Forget what a killed run did after its last state; of a run that begins anew, do what is due before it."""
        step = place.step or BEFORE_ALL
        self.history.trim(step)
        if self.showing:
            self.remarks += self.showing.trim(max(0, place.step))
        self._keep([snapshot for snapshot in self.snapshots if snapshot.step <= step])
        if place.step == 0:
            self.at(START)

    def due(self, place: Progress) -> Actions:
        return due(place, self.saving, self.measuring, self.sampling)

    def wants(self, place: Progress) -> bool:
        """Whether anything is due there."""
        return self.due(place).any

    def keeps(self, place: Progress) -> bool:
        """Whether a snapshot is due there, beside which the state is worth keeping too."""
        return self.due(place).snapshot

    def at(self, place: Progress) -> None:
        """Do what is due at a point of the run; the adapter's weights are those to be used."""
        wanted = self.due(place)
        if wanted.look and self.validation and all(look.step != place.step for look in self.history.looks):
            self._look(place)
        if wanted.snapshot:
            self._save(place, snapshot_name(self.name, place.step, place.epoch, place.ends_epoch))
        if wanted.paint and self.showing and self.painted != place.step:
            self.showing.paint(place.step, place.epoch, self.progress)
            self.painted = place.step
            if self.board:
                self.board.add_image("samples", place.step, self.showing.folder / GRID)
        if self.board and wanted.any:
            self.board.flush()

    def finish(self, place: Progress) -> None:
        """Save the adapter as the run ended, whether it came to its end or stopped before; look at it and paint with it
        unless that is done."""
        self.at(replace(place, last=True))
        self._save(place, f"{self.name}.safetensors")

    @property
    def enough(self) -> bool:
        """Whether the loss has not fallen for as many looks as the person's patience lasts."""
        return bool(self.measuring.patience) and self.history.waited >= self.measuring.patience

    def _look(self, place: Progress) -> None:
        assert self.validation is not None
        look = self.history.add(place.step, place.epoch, self.validation())
        if self.board:
            self.board.add_validation(look)

    def _save(self, place: Progress, name: str) -> None:
        """Write the adapter, note it, and take away the snapshots that are not to be kept."""
        if not self.team.leads:
            return
        precision = DTYPES[self.saving.save_precision]
        export_adapter(
            self.folder / name,
            self.adapter.tensors(),
            self.describe(place),
            self.saving.export_for,
            precision,
            self.base,
        )
        losses = {look.step: look.loss for look in self.history.looks}
        made = Snapshot(name, place.step, place.epoch, file_digest(self.folder / name), losses.get(place.step))
        others = [snapshot for snapshot in self.snapshots if snapshot.file != name]
        self._keep(with_best([*others, made]))

    def _keep(self, snapshots: list[Snapshot]) -> None:
        """Keep these, but for those that `keep_last` leaves out, and note it before any file goes."""
        if not self.team.leads:
            return
        last = [snapshot for snapshot in snapshots if snapshot.file == f"{self.name}.safetensors"]
        kept, gone = thinned([snapshot for snapshot in snapshots if snapshot not in last], self.saving.keep_last)
        self.snapshots = [*kept, *last]
        note_snapshots(self.folder, self.snapshots)
        for snapshot in gone:
            (self.folder / snapshot.file).unlink(missing_ok=True)
