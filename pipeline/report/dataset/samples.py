"""What was painted to see what the adapter learned, and what was measured on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PrepError

LISTING = "samples.json"


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """One prompt and seed painted twice: by the base model alone and with the adapter.

    `found_before` and `found_after` are the share (0..1) of the trigger's traits that a tagger finds in each image,
    None where nobody measured.
    """

    trigger: str
    prompt: str
    seed: int
    base_path: Path
    adapter_path: Path
    found_before: float | None = None
    found_after: float | None = None


@dataclass(frozen=True, slots=True)
class TraitShare:
    """In which share (0..1) of a trigger's images one trait is found, without the adapter and with it."""

    trigger: str
    trait: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Learned:
    """Everything there is to show of a trained adapter; `about` says in a sentence how it was trained and measured."""

    samples: tuple[SampleGrid, ...] = ()
    traits: tuple[TraitShare, ...] = ()
    about: str = ""

    def triggers(self) -> tuple[str, ...]:
        """Trigger words in the order of their first image or trait."""
        words = [sample.trigger for sample in self.samples] + [trait.trigger for trait in self.traits]
        return tuple(dict.fromkeys(words))

    def found(self, trigger: str | None = None) -> tuple[float, float] | None:
        """Mean share found before and after, over a trigger's traits or all of them; over the images where no trait
        was measured by itself; None if nothing was measured."""
        shares = [(trait.before, trait.after) for trait in self.traits if trigger in (None, trait.trigger)]
        if not shares:
            shares = [
                (sample.found_before, sample.found_after)
                for sample in self.samples
                if trigger in (None, sample.trigger)
                and sample.found_before is not None
                and sample.found_after is not None
            ]
        if not shares:
            return None
        return sum(before for before, _ in shares) / len(shares), sum(after for _, after in shares) / len(shares)


def read_samples(root: Path, triggers: tuple[str, ...]) -> Learned:
    """What `prep sample` painted last in a set, from SET/runs/NAME/samples/samples.json.

    Every entry has `prompt`, `seed`, and `base` and `adapter` as paths in the set; `found_before` and `found_after`
    where somebody measured. The trigger is the one of `triggers` that the prompt holds, else the prompt itself.
    Raises:
        PrepError: the listing is there but cannot be understood.
    """
    listings = sorted(root.glob(f"runs/*/samples/{LISTING}"), key=lambda file: (file.stat().st_mtime, file))
    if not listings:
        return Learned()
    try:
        rows = json.loads(listings[-1].read_text(encoding="utf-8"))
        samples = tuple(
            SampleGrid(
                _trigger(str(row["prompt"]), triggers),
                str(row["prompt"]),
                int(row["seed"]),
                root / row["base"],
                root / row["adapter"],
                _share(row.get("found_before")),
                _share(row.get("found_after")),
            )
            for row in rows
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrepError(
            f"{listings[-1]} is no list of samples: {error!r}", f"paint them anew: prep sample {root} --force"
        ) from error
    return Learned(samples, about=f"Painted with the adapter “{listings[-1].parent.parent.name}”.")


def _trigger(prompt: str, triggers: tuple[str, ...]) -> str:
    words = [word.strip() for word in prompt.split(",")]
    return next((word for word in words if word in triggers), prompt)


def _share(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]
