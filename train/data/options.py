"""Options of the training data: batches, captions, augmentation. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pipeline.config.rules import PERSONAL, Problem, Range, at_least, between, idle_unless, option, share
from pipeline.core.caption_text import KEEP_SEPARATOR
from train.optimization.options import Pairing, PriorWeights

FACE_CROP = Range(lambda value: 1 <= value[0] <= value[1] <= 4, "two numbers from 1 to 4, the smaller one first")
VARIED = ("color_jitter", "random_crop", "face_crop")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    batch_size: int = option(4, at_least(1))
    """Images per batch; their regularization images are added to these."""
    epochs: int = option(10, at_least(1))
    """Passes over the set; each image is seen as often as its repeats say."""
    steps: int | None = option(None, at_least(1))
    """Stop after this many batches instead of after whole epochs."""
    gradient_accumulation_steps: int = option(
        1, Range(lambda value: value >= 0, "at least 1, or 0 for as many as there are buckets")
    )
    """Batches whose gradients are accumulated before each update; 0 takes the number of buckets, so that an update sees
    nearly all of them."""
    accumulation_window: Literal["run", "epoch"] = "run"
    """Whether accumulation runs on over the run, or an epoch's end closes it with an update of fewer batches, as in
    kohya-ss/sd-scripts: 10 epochs of 25 batches, 8 at a time, are 32 updates or 40."""

    only: tuple[str, ...] = option((), PERSONAL)
    """Train on these concepts or images alone, by name or pattern, as characters/fanart/*; all stages before stay as they are."""
    without: tuple[str, ...] = option((), PERSONAL)
    """Leave these concepts or images out of this training, by name or pattern."""

    def problems(self) -> Iterator[Problem]:
        """A window where nothing is accumulated."""
        if self.accumulation_window != "run" and self.gradient_accumulation_steps == 1:
            yield (
                f"accumulation_window is {self.accumulation_window!r}, but every batch is an update",
                "leave it out, or give gradient_accumulation_steps",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionOptions:
    shuffle_tags: bool = True
    """Shuffle a caption's tags each time it is used, except the first ones (keep_tags)."""
    keep_tags: int | None = option(
        None,
        at_least(0),
        idle_unless(
            "shuffle_tags",
            "tag_dropout",
            "tag_warmup_steps",
            "tag_warmup_share",
            why="no tag is moved or left out",
            hint="leave it out, or use shuffle_tags, tag_dropout or a tag warm-up",
        ),
    )
    """How many tags at the front are neither shuffled nor dropped; the caption's trigger words if not given. In a caption
    that contains keep_separator, the separator decides."""
    keep_separator: str = "|||"
    """Separator in a caption: tags before it stay at the front, tags after a second one at the end. The text encoder never
    sees it."""
    group_separator: str = ""
    """Separator of tags that are shuffled and dropped as one, such as ;;; in `black hair;;;long hair`; read as a comma."""
    tag_dropout: float = option(0.0, share())
    """Share of the tags after the kept ones that is dropped, drawn anew each time."""
    tag_warmup_steps: int = option(0, at_least(0))
    """Batches over which tags are added one by one, from the front of the caption."""
    tag_warmup_share: float = option(0.0, between(0, 1))
    """The same as a share of the run: 0.1 is a tenth; advanced once per epoch where the length is set in epochs."""
    tag_warmup_min: int = option(
        1,
        at_least(0),
        idle_unless(
            "tag_warmup_steps",
            "tag_warmup_share",
            why="there is no tag warm-up",
            hint="give tag_warmup_steps or tag_warmup_share too",
        ),
    )
    """How many tags after the kept ones are used from the start of the warm-up."""
    caption_dropout: float = option(0.0, between(0, 1))
    """Share of exposures with an empty caption."""
    caption_dropout_epochs: int = option(0, at_least(0))
    """Use empty captions in every n-th epoch; 0 for never."""
    caption_lines: Literal["all", "one"] = "all"
    """all joins the lines of a caption with commas; one draws a line each time it is used."""
    wildcards: bool = False
    """Replace {a|b|c} in a caption by one of its parts, drawn each time it is used; {{ and }} stand for braces."""
    caption_prefix: str = ""
    """Text added before every image's caption, with a comma; regularization images keep the caption they were made from."""
    caption_suffix: str = ""
    """Text added after every image's caption, with a comma; regularization images keep the caption they were made from."""

    @property
    def separators(self) -> tuple[str, ...]:
        """What splits captions and is never read."""
        separators = (self.keep_separator, self.group_separator, KEEP_SEPARATOR)
        return tuple(dict.fromkeys(mark for mark in separators if mark))

    def problems(self) -> Iterator[Problem]:
        if self.caption_dropout_epochs == 1:
            yield (
                "caption_dropout_epochs is 1, which would leave every caption of every epoch empty",
                "give 2 or more, or caption_dropout = 1.0 if that is meant",
            )
        yield from self._wrong_marks()
        if self.tag_warmup_steps and self.tag_warmup_share:
            yield (
                f"tag_warmup_steps is {self.tag_warmup_steps} and tag_warmup_share {self.tag_warmup_share:g}",
                "give one of the two",
            )
        if self.caption_dropout == 1:
            yield from self._never_shown()

    def _wrong_marks(self) -> Iterator[Problem]:
        """What is wrong with the separators that stand in captions, and with the texts put around them."""
        separators = {"keep_separator": self.keep_separator, "group_separator": self.group_separator}
        for name, mark in separators.items():
            if mark != mark.strip() or any(letter in mark for letter in ",\n\r"):
                yield f"{name} is {mark!r}", "give a mark without commas, spaces around it or line breaks, such as |||"
            if self.wildcards and any(brace in mark for brace in "{}"):
                yield (
                    f"{name} is {mark!r}, but braces are those of wildcards",
                    "give a mark without { and }, such as |||",
                )
        keep, group = separators.values()
        if keep and group and (keep in group or group in keep):
            yield (
                f"keep_separator {keep!r} and group_separator {group!r} cannot be distinguished in a caption",
                'give separators of which none is part of the other, such as "|||" and ";;;"',
            )
        for name, text in (("caption_prefix", self.caption_prefix), ("caption_suffix", self.caption_suffix)):
            held = [mark for mark in separators.values() if mark and mark in text]
            if held:
                yield f"{name} holds {held[0]!r}, which only splits captions", f"leave it out: a {name[8:]} never moves"
            if "\n" in text or "\r" in text:
                yield f"{name} has several lines", "write it on one line"

    def _never_shown(self) -> Iterator[Problem]:
        """What is asked of captions that are all left out."""
        for name in (
            "tag_dropout",
            "tag_warmup_steps",
            "tag_warmup_share",
            "caption_dropout_epochs",
            "wildcards",
            "caption_prefix",
            "caption_suffix",
        ):
            if getattr(self, name):
                yield f"{name} does nothing: caption_dropout is 1, so no caption is ever shown", f"leave {name} out"


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationOptions:
    flip: bool = False
    """Flip every second exposure of an image horizontally, except images whose caption says left or right."""
    flip_guard: tuple[str, ...] = option(
        ("left", "right"),
        idle_unless("flip", why="nothing is mirrored", hint="leave flip_guard out, or use flip = true"),
    )
    """Words in a caption that keep its image from being flipped; add words for what a character has on one side only."""
    color_jitter: float = option(0.0, between(0, 0.5))
    """Largest change of brightness, contrast, saturation and hue, as a share; 0.1 is slight. Not for characters whose
    colours matter."""
    random_crop: bool = False
    """Crop at a random position within what the bucket cuts off, instead of the chosen one."""
    face_crop: tuple[float, float] | None = option(None, FACE_CROP)
    """Smallest and largest zoom onto the subject of an image, such as [1.0, 1.5]; not zoomed if not given."""
    variants: int = option(
        4,
        between(2, 64),
        idle_unless(
            *VARIED,
            why="nothing varies the images",
            hint="leave variants out, or use color_jitter, random_crop or face_crop",
        ),
    )
    """How many variants of an image color_jitter, random_crop and face_crop make; the latents of all are cached."""

    @property
    def any(self) -> bool:
        """Whether images are augmented at all."""
        return bool(self.flip or self.color_jitter or self.random_crop or self.face_crop)

    def problems(self) -> Iterator[Problem]:
        if self.random_crop and self.face_crop:
            yield (
                "random_crop and face_crop both place the crop: one anywhere, the other about the subject",
                "leave one of them out",
            )
        if self.flip and any(not any(map(str.isalnum, word)) for word in self.flip_guard):
            yield (
                f"flip_guard is {list(self.flip_guard)}, but holds a word without letters",
                "give words, or [] to mirror all",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetOptions:
    """What decides the views and the regularization images of every example; `regularized` is whether there are any,
    `prior` the weight of each, `pair` what they share with their images, `share` in how many exposures they are shown;
    `only` and `without` are patterns of concepts and images, as `subset` takes them."""

    augmentation: AugmentationOptions
    captions: CaptionOptions
    seed: int
    regularized: bool
    prior: PriorWeights = field(default_factory=PriorWeights)
    pair: Pairing = "auto"
    share: float = 1.0
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
