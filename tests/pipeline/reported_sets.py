"""Sets at every state of preparation, whose names are hostile, and what a browser sees of their page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from decided import decided, scored, trigger
from PIL import Image as Pillow

from pipeline.report.dataset.samples import Learned, SamplePair, TraitShare
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Decision, Plan
from pipeline.store.running.apply import apply
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.repeats import Repeats
from pipeline.store.values.tags import TagAction, TagDecision

CORE = {"trigger": "ada", "shown": 2, "images": 2, "elsewhere": 0, "others": 0}


EVIL = "</script><script>alert(1)</script>"


FIRST, SECOND, COPY = (f"images/girls~Ada/{name}.png" for name in ("one", "two & <o>_<o>", "copy"))


class Elements(HTMLParser):
    """Collects what a browser would see: (element, attributes) in order, and all text outside `style`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.inside = "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside != "style":
            self.text += data


def put(
    manifest: Manifest,
    stage: str,
    fields: tuple[str, ...],
    *decisions: Decision,
    options: dict[str, object] | None = None,
) -> int:
    with manifest.transaction():
        run = manifest.begin_run(stage, options or {"level": EVIL}, versions={"lora-prep": "1.2.3", "numpy": EVIL})
    apply(manifest, Plan(stage, fields, decisions), run, lambda what, done, total: None)
    return run


def curate(manifest: Manifest) -> None:
    decisions = []
    for path in (FIRST, SECOND):
        steps = [
            trigger("ada"),
            scored("1girl"),
            scored(EVIL),
            TagDecision("red hair", TagAction.DROPPED, TagReason.CORE, CORE),
            TagDecision("<o>_<o>", TagAction.DROPPED, TagReason.BELOW_THRESHOLD, {"score": 0.21, "threshold": 0.35}),
            TagDecision("boots", TagAction.RENAMED, TagReason.RENAMED_AS_ASKED, {"to": "red boots"}),
        ]
        decisions += [
            decided(path, "tags", steps),
            decided(path, "caption", f"ada, 1girl, {EVIL}"),
        ]
    put(manifest, "curate", ("tags", "caption"), *decisions)


def finish(manifest: Manifest) -> None:
    curate(manifest)
    put(
        manifest,
        "balance",
        ("repeats",),
        *(decided(path, "repeats", Repeats(1.25, 1)) for path in (FIRST, SECOND)),
        options={"weights": {}, "steps": None, "epochs": 4, "batch_size": 2},
    )
    bucket = Bucket((64, 40), (64, 40), (0, 0, 64, 40), 0.034)
    put(manifest, "bucket", ("bucket",), *(decided(path, "bucket", bucket) for path in (FIRST, SECOND)))
    reg_image = RegularizationAssignment(
        (RegularizationImage("regularization/girls~Ada/one.png", f"1girl {EVIL}", (64, 40), 1),)
    )
    put(manifest, "regularize", ("regularization",), decided(FIRST, "regularization", reg_image))


def grid(folder: Path) -> Learned:
    for name in ("base.png", "adapter.png"):
        Pillow.new("RGB", (64, 40), "green").save(folder / name)
    sample = SamplePair("ada", f"1girl, ada, {EVIL}", 7, folder / "base.png", folder / "adapter.png", 0.25, 1.0)
    return Learned((sample,), (TraitShare("ada", "<o>_<o>", 0.1, 0.9),), f"trained {EVIL}")
