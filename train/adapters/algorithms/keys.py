"""The keys that one layer of an adapter file holds, and what their shapes tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""The keys of one layer, without the layer's name, such as `lora_up.weight` → the shapes of their tensors."""
Pair = tuple[str, int, str, int]
"""A key and an axis of it, which must be as long as another key's axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys of an algorithm's layers, in the order in which they are trained.

    `halves` are keys that may be missing where all of their factors are there. `marks` are keys that only this algorithm
    has; `dimensions` how many axes a mark has, where another algorithm has it with another number. `core` are the keys of a
    Tucker core, `bias` that of a change of the layer's bias. `rank` is where the rank shows, the first that is there.
    `pairs` must fit each other, with a core `core_pairs` instead.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    halves: tuple[tuple[str, tuple[str, ...]], ...] = ()
    marks: tuple[str, ...]
    dimensions: int | None = None
    core: tuple[str, ...] = ()
    bias: str = ""
    rank: tuple[tuple[str, int], ...] = ()
    pairs: tuple[Pair, ...] = ()
    core_pairs: tuple[Pair, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)

    def recognized(self, shapes: Shapes) -> bool:
        """Whether a layer has keys that only this algorithm has."""
        found = [shapes[mark] for mark in self.marks if mark in shapes]
        return any(self.dimensions in (None, len(shape)) for shape in found)

    def missing(self, shapes: Shapes) -> list[str]:
        absent = [key for key in self.required if key not in shapes]
        return absent + [key for key, factors in self.halves if key not in shapes and not set(factors) <= shapes.keys()]

    def foreign(self, shapes: Shapes) -> list[str]:
        return [key for key in shapes if key not in self.all]

    def misfits(self, shapes: Shapes) -> Iterator[str]:
        """Factors that cannot be multiplied with each other."""
        for one, axis, other, along in self.core_pairs if self.has_core(shapes) else self.pairs:
            if one in shapes and other in shapes:
                left, right = shapes[one], shapes[other]
                if len(left) <= axis or len(right) <= along or left[axis] != right[along]:
                    yield f"{one} {list(left)} does not fit {other} {list(right)}"

    def rank_of(self, shapes: Shapes) -> int:
        """The rank, as the option of that name means it; 0 where there is none."""
        return next((length for key, axis in self.rank if (length := side(shapes, key, axis))), 0)

    def has_core(self, keys: Collection[str]) -> bool:
        return any(key in keys for key in self.core)


def side(shapes: Shapes, key: str, axis: int = 0) -> int:
    """The length of a key's axis, 0 where there is none."""
    shape = shapes.get(key, ())
    return shape[axis] if len(shape) > axis else 0
