"""Generate a regularization image for every kept image: what the base model makes of the same caption.

Each regularization image has its image's caption, bucket size, file name and concept, and is sampled with DDIM from one seed (the
recipe of "Stable Diffusion LoRA training science and notes", rentry). The trainer shows the two together; where an image
has several regularization images, they take turns.

Or use images of the class that you have: --images user --user-images FOLDER. Those in a folder named like a concept are for
that concept, those in 1_woman for the concepts of that class, those that lie flat for every concept without a folder of its
own; a number in front says how often they are used beside others. Captions lie beside them, NAME.txt, or are those of
--user-caption, or the class word. They are brought into the set as flatten does it, cropped to the sizes of the images they go
beside, and assigned so that all are used equally often; noise and timestep are their own.

Or have images of the class made, --images class --class-word girl: their prompts are the captions with other tags of the set here
and there. Or make no images at all: with --images preservation --class-word girl training asks the base model itself, without the
adapter, what it makes of every noisy image called `girl` instead of the trigger word, and holds the adapter to that; one
forward pass more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.concepts.regularization.class_plan import plan_class
from pipeline.concepts.regularization.class_words import ClassWords
from pipeline.concepts.regularization.files import remove_strays, save_caption
from pipeline.concepts.regularization.matched_plan import Seeds, must_have, plan_matched, plan_preservation
from pipeline.concepts.regularization.paths import FOLDER
from pipeline.core.errors import PrepError
from pipeline.core.links import How
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.stage import ProgressCallback, Stage, WorkResult
from pipeline.store.values import read
from pipeline.store.values.regularization import RegularizationImage
from pipeline.tags.statistics.core_tags import STYLES
from train.models.identity import base_identity

NAME = "regularize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `prep regularize`."""

    images: Literal["matched", "class", "preservation", "user", "random", "none"] = "matched"
    """matched makes one regularization image for every kept image; class makes images from prompts near to the captions,
    which never say a trigger word, as many as images have repeats; preservation makes none, and training holds the model to
    what it said of each image before, without its trigger words; user uses those of a folder of yours, each folder below
    for the concept or class it is named like, random uses all of them for all concepts; none makes and uses none."""
    user_images: Path | None = None
    """Folder of your own regularization images, as of kohya's trainers (reg/1_woman), or another set. Equal files are used
    once, nearly equal ones each by itself; those that are also to be trained on are left out."""
    user_caption: str | None = None
    """Caption of those of your images that have none beside them."""
    count: int = 1
    """Regularization images of every image, each from a seed of its own: seed, seed + 1 and so on; training uses all
    of them in turn. With images = "class", as many for every repeat."""
    base: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    """Base model that will be trained on: a single .safetensors or .ckpt file, a folder in diffusers format, a hub
    repository, or `miniature`."""
    revision: str | None = None
    """Revision of the hub repository to pin; the newest when empty."""
    vae: str | None = None
    """Another VAE instead of the base model's own: a folder, a hub repository, or a single file; as in training."""
    tokenizer: Path | None = None
    """Folder of CLIP's vocabulary (vocab.json and merges.txt), which a single file lacks; the hub's if not given."""
    prediction: Literal["auto", "epsilon", "v_prediction"] = "auto"
    """What the UNet predicts, the noise or the velocity; auto reads it from the base model's files; as in training."""
    trigger: Literal["keep", "remove"] = "keep"
    """keep uses the very same caption; remove leaves out the trigger words that have no class word, which are learned much
    faster then, as no regularization image shows them with the old look."""
    class_word: str = ""
    """Word that takes the place of trigger words in the captions of regularization images, such as girl; not of those of
    styles."""
    class_words: Mapping[str, str] = field(default_factory=dict)
    """Class words of single trigger words, or of concepts by pattern; they go before class_word; Lumi=1girl."""
    seeds: Literal["same", "own"] = "same"
    """same starts every regularization image from `seed`, own gives each image a seed of its own (seed + its place in
    the set)."""
    seed: int = 420
    """Seed of the starting noise; use the training seed."""
    steps: int = 25
    """DDIM steps."""
    guidance: float = 7.0
    """Classifier-free guidance scale."""
    negative: str = ""
    """Negative prompt."""
    clip_skip: int = 1
    """Text layer used, counted from the last; as in training."""
    batch_size: int | None = None
    """Images sampled at once; as many as there is memory for, at most 8, if not given."""
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    """Precision of the base model and of the arithmetic; auto is bf16, else fp16, where the device computes in it faster, and
    no elsewhere. Images that are there stay as they are where only this is another."""
    vram: float | None = None
    """Memory of the card in GiB that the rest is chosen for; what the device has free if not given."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N, xpu or mps."""
    styles: tuple[str, ...] = field(default=STYLES, metadata={"section": "curate"})
    """Patterns of concepts that are styles."""
    link: How = field(default="auto", metadata={"section": "flatten"})
    """How your images come into the set."""
    min_side: int = field(default=64, metadata={"section": "check"})
    """Shorter side in pixels below which one of your images is too small."""

    def __post_init__(self) -> None:
        self._check_user_images()
        for name, holds in (
            ("count", 1 <= self.count <= 1000),
            ("steps", 1 <= self.steps <= 1000),
            ("batch_size", self.batch_size is None or self.batch_size >= 1),
            ("vram", self.vram is None or self.vram > 0),
            ("clip_skip", self.clip_skip >= 1),
            ("guidance", self.guidance >= 0),
            ("seed", 0 <= self.seed < 2**63),
        ):
            if not holds:
                raise PrepError(
                    f"regularize: {name} is {getattr(self, name)!r}, which is out of range",
                    f"set {name} in [regularize]",
                )

    @property
    def of_user(self) -> bool:
        """Whether the images are the person's own."""
        return self.images in ("user", "random")

    @property
    def generates(self) -> bool:
        """Whether the base model makes the images."""
        return self.images in ("matched", "class")

    @property
    def class_words_of(self) -> ClassWords:
        return ClassWords(word=self.class_word, words=self.class_words, styles=self.styles, trigger=self.trigger)

    def _check_user_images(self) -> None:
        """Refuse what does nothing beside the other options."""
        if self.images == "class" and self.seeds == "own":
            raise PrepError(
                "regularize: seeds is 'own', but images of the class have seeds of their own anyway", "leave seeds out"
            )
        if self.images == "preservation" and self.count != 1:
            raise PrepError(
                f"regularize: count is {self.count}, but preservation makes no images",
                "leave count out; reg_share of train says in how many exposures it acts",
            )
        if self.of_user:
            if self.user_images is None:
                raise PrepError(
                    f"regularize: images is {self.images!r}, but no folder of them is named", "--user-images FOLDER"
                )
            if self.count != 1:
                raise PrepError(
                    f"regularize: count is {self.count}, but images of yours are all used, however many there are",
                    "leave count out",
                )
        elif self.user_images is not None or self.user_caption is not None:
            name = "user_images" if self.user_images is not None else "user_caption"
            raise PrepError(
                f"regularize: {name} does nothing while images is {self.images!r}",
                f"give --images user, or leave {name} out",
            )


def observe(manifest: Manifest, options: Options) -> str:
    if options.of_user:
        from pipeline.concepts.regularization.user_folder import listing_digest

        assert options.user_images is not None
        return listing_digest(manifest, options.user_images) + manifest.digest("repeats")
    if options.generates:
        identity = base_identity(manifest, options.base, options.revision, options.vae)
        return identity + (manifest.digest("repeats") if options.images == "class" else "")
    return ""


def measure(manifest: Manifest, options: Options, progress: ProgressCallback) -> None:
    """Hash and measure the user's images that are new or changed."""
    if options.of_user:
        from pipeline.concepts.regularization.user_images import measure_user_images
        from pipeline.concepts.regularization.user_plan import cutting_of

        assert options.user_images is not None
        measure_user_images(manifest, options.user_images, cutting_of(manifest).background, progress)


def plan(manifest: Manifest, options: Options) -> Plan:
    """The regularization images of every kept image that has a bucket, and for matched ones a caption."""
    if options.images == "none":
        return Plan(NAME, ("regularization",), warnings=("no regularization images, as asked",))
    if options.of_user:
        return _plan_user_images(manifest, options)
    if options.images == "preservation":
        return plan_preservation(manifest, options.class_words_of)
    made = {"steps": options.steps, "guidance": options.guidance}
    if options.images == "class":
        return plan_class(manifest, options.class_words_of, options.seed, options.count, made)
    seeds = Seeds(first=options.seed, count=options.count, own=options.seeds == "own")
    return plan_matched(manifest, options.class_words_of, seeds, made)


def _plan_user_images(manifest: Manifest, options: Options) -> Plan:
    from pipeline.concepts.regularization.user_images import Wanted, find_user_images
    from pipeline.concepts.regularization.user_plan import plan_user_images

    assert options.user_images is not None
    buckets = read.buckets(manifest)
    for image in manifest.kept():
        must_have(manifest, image.path, "bucket", buckets)
    wanted = Wanted(
        caption=options.user_caption,
        min_side=options.min_side,
        words=options.class_words_of,
        everyone=options.images == "random",
    )
    pools = find_user_images(manifest, options.user_images, wanted)
    return plan_user_images(manifest, pools, buckets, options.link, options.seed)


def _all_reg_images(manifest: Manifest) -> list[RegularizationImage]:
    """Those that have a file of their own."""
    every = (reg_image for assigned in read.regularization(manifest).values() for reg_image in assigned.images)
    return [reg_image for reg_image in every if not reg_image.preserved]


def files(options: Options) -> tuple[str, ...]:
    return (f"{FOLDER}/*/*",)


def missing(manifest: Manifest, options: Options) -> str:
    """Regularization images that are gone."""
    paths = dict.fromkeys(reg_image.path for reg_image in _all_reg_images(manifest))
    gone = [path for path in paths if not (manifest.root / path).is_file()]
    return f"{len(gone)} regularization images are not there, such as {gone[0]}" if gone else ""


def work(manifest: Manifest, options: Options, progress: ProgressCallback) -> WorkResult:
    """Write the regularization images' captions, and sample matched ones that are not there yet or were made
    otherwise; every one is kept as soon as it is made."""
    rows = _all_reg_images(manifest)
    remove_strays(manifest, {row.path for row in rows}, NAME)
    captions = {row.path: row.caption for row in rows}
    result = WorkResult()
    if rows and options.generates:
        result = _generate(manifest, options, rows, progress)
    elif rows:
        result = WorkResult({"user_supplied_images": len(captions)})
    for path, caption in captions.items():
        save_caption(manifest.root / path, caption)
    return result


def _generate(
    manifest: Manifest, options: Options, rows: list[RegularizationImage], progress: ProgressCallback
) -> WorkResult:
    from train.models.options import ModelOptions, PrecisionOptions
    from train.models.sampling.generate import Sampling
    from train.reg_images import Making, make_reg_images

    making = Making(
        model=ModelOptions(
            base=options.base,
            revision=options.revision,
            vae=options.vae,
            tokenizer=options.tokenizer,
            prediction=options.prediction,
        ),
        precision=PrecisionOptions(mixed_precision=options.mixed_precision, vram=options.vram),
        device=options.device,
        batch_size=options.batch_size,
        sampling=Sampling(options.steps, options.guidance, options.clip_skip),
        negative=options.negative,
    )
    made = make_reg_images(manifest.root, rows, making, progress)
    counts = {"images_made": made.images, "images_already_there": len(rows) - made.images}
    return WorkResult(counts, made.warnings)


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep", "bucket", "caption"),
    plan=plan,
    observe=observe,
    observes="base model, user images or balance",
    measure=measure,
    missing=missing,
    work=work,
    files=files,
    uses=("torch", "diffusers", "transformers"),
    slow=True,
)
