"""What a run does beside its steps: it saves snapshots, looks at the validation loss, paints samples, and says when enough
was learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.files import file_digest
from train.adapter import Adapter
from train.exporting import export_adapter
from train.looks import History
from train.milestones import START, Place, due
from train.precision import DTYPES
from train.recipe import Recipe
from train.runfile import note_snapshots
from train.showing import GRID, Showing
from train.snapshots import Snapshot, snapshot_name, thinned, with_best
from train.team import Team
from train.tensorboard import TensorBoard
from train.validation import Validation

BEFORE_ALL = -1
"""The step to trim to when a run begins anew: even what was done before the first batch goes."""
Progress = Callable[[str, int, int], None]
Describe = Callable[[Place], Mapping[str, str]]
"""The metadata of an adapter as it is at a point of the run."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """`base` is where the base model's files lie; `validation` and `showing` are None where nothing is to be looked at or
    painted."""

    recipe: Recipe
    adapter: Adapter
    base: Path
    folder: Path
    team: Team
    describe: Describe
    progress: Progress
    validation: Validation | None
    history: History
    showing: Showing | None
    snapshots: list[Snapshot] = field(default_factory=list)
    board: TensorBoard | None = None
    painted: int | None = None
    remarks: tuple[str, ...] = ()

    def begin(self, place: Place) -> None:
        """Forget what a killed run did after its last state; of a run that begins anew, do what is due before it."""
        step = place.step or BEFORE_ALL
        self.history.trim(step)
        if self.showing:
            self.remarks += self.showing.trim(max(0, place.step))
        self._keep([snapshot for snapshot in self.snapshots if snapshot.step <= step])
        if place.step == 0:
            self.at(START)

    def wants(self, place: Place) -> bool:
        """Whether anything is due there."""
        return due(self.recipe, place).any

    def keeps(self, place: Place) -> bool:
        """Whether a snapshot is due there, beside which the state is worth keeping too."""
        return due(self.recipe, place).snapshot

    def at(self, place: Place) -> None:
        """Do what is due at a point of the run; the adapter's weights are those to be used."""
        wanted = due(self.recipe, place)
        if wanted.look and self.validation and all(look.step != place.step for look in self.history.looks):
            self._look(place)
        if wanted.snapshot:
            self._save(place, snapshot_name(self.recipe.name, place.step, place.epoch, place.ends_epoch))
        if wanted.paint and self.showing and self.painted != place.step:
            self.showing.paint(place.step, place.epoch, self.progress)
            self.painted = place.step
            if self.board:
                self.board.add_picture("samples", place.step, self.showing.folder / GRID)
        if self.board and wanted.any:
            self.board.flush()

    def finish(self, place: Place) -> None:
        """Save the adapter as the run ended, whether it came to its end or stopped before; look at it and paint with it
        unless that is done."""
        self.at(replace(place, last=True))
        self._save(place, f"{self.recipe.name}.safetensors")

    @property
    def enough(self) -> bool:
        """Whether the loss has not fallen for as many looks as the person's patience lasts."""
        return bool(self.recipe.patience) and self.history.waited >= self.recipe.patience

    def _look(self, place: Place) -> None:
        assert self.validation is not None
        look = self.history.add(place.step, place.epoch, self.validation())
        if self.board:
            self.board.add_validation(look)

    def _save(self, place: Place, name: str) -> None:
        """Write the adapter, note it, and take away the snapshots that are not to be kept."""
        if not self.team.leads:
            return
        recipe = self.recipe
        precision = DTYPES[recipe.save_precision]
        export_adapter(
            self.folder / name, self.adapter.tensors(), self.describe(place), recipe.export_for, precision, self.base
        )
        losses = {look.step: look.loss for look in self.history.looks}
        made = Snapshot(name, place.step, place.epoch, file_digest(self.folder / name), losses.get(place.step))
        others = [snapshot for snapshot in self.snapshots if snapshot.file != name]
        self._keep(with_best([*others, made]))

    def _keep(self, snapshots: list[Snapshot]) -> None:
        """Keep these, but for those that `keep_last` leaves out, and note it before any file goes."""
        if not self.team.leads:
            return
        last = [snapshot for snapshot in snapshots if snapshot.file == f"{self.recipe.name}.safetensors"]
        kept, gone = thinned([snapshot for snapshot in snapshots if snapshot not in last], self.recipe.keep_last)
        self.snapshots = [*kept, *last]
        note_snapshots(self.folder, self.snapshots)
        for snapshot in gone:
            (self.folder / snapshot.file).unlink(missing_ok=True)
