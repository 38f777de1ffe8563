"""The page tells what the manifest holds, and no name in it can become markup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from decided import decided, scored, trigger
from PIL import Image as Pillow

from pipeline.cli.commands.report import command
from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted, percent
from pipeline.report.dataset.facts import collect
from pipeline.report.dataset.page import render, report_of, write_report
from pipeline.report.dataset.samples import Learned, SamplePair, TraitShare, read_samples
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.balance import BalanceReason
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Decision, Image, Measurement, Plan
from pipeline.store.running.apply import apply
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.repeats import Repeats
from pipeline.store.values.tags import TagAction, TagDecision

CORE = {"trigger": "ada", "shown": 2, "images": 2, "elsewhere": 0, "others": 0}
EVIL = "</script><script>alert(1)</script>"
SECTIONS = (
    "samples",
    "tag-recall",
    "excluded",
    "tags",
    "triggers",
    "balance",
    "buckets",
    "regularization",
    "stage-runs",
)
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


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    """Three images, one a copy of another, and one source file that is no image."""
    with Manifest.open(tmp_path / "a set", create=True) as manifest:
        images = []
        for path, colour in ((FIRST, "red"), (SECOND, "blue"), (COPY, "red")):
            file = manifest.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Pillow.new("RGB", (200, 120), colour).save(file)
            images.append(Image(path, "girls/Ada", f"/sources/{path}", colour, 10, "copy"))
        with manifest.transaction():
            manifest.put_images(images, manifest.begin_run("before", {}))
        placed = [decided(image.source, "imported", image.path) for image in images]
        put(
            manifest,
            "flatten",
            ("imported",),
            *placed,
            Decision(f"/sources/{EVIL}.txt", "imported", None, PlacementReason.CAPTION_WITHOUT_IMAGE),
        )
        put(
            manifest,
            "check",
            ("keep",),
            Decision(FIRST, "keep", True, CheckReason.GOOD),
            Decision(SECOND, "keep", True, CheckReason.EXIF_ROTATED, {"orientation": 6}),
            Decision(COPY, "keep", False, CheckReason.DUPLICATE, {"of": FIRST}),
        )
        yield manifest


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


def test_a_full_page_has_every_section_filled(manifest: Manifest, tmp_path: Path) -> None:
    finish(manifest)
    page = Elements(render(report_of(manifest, grid(tmp_path))))
    ids = [attributes["id"] for tag, attributes in page.found if tag == "section"]
    assert ids == list(SECTIONS)
    assert not any(attributes.get("class") == "missing" for _, attributes in page.found)
    links = [attributes["href"] for tag, attributes in page.found if tag == "a"]
    assert links == [f"#{name}" for name in SECTIONS]


def test_no_name_becomes_markup(manifest: Manifest, tmp_path: Path) -> None:
    finish(manifest)
    written = render(report_of(manifest, grid(tmp_path), title=EVIL))
    page = Elements(written)
    assert "<script" not in written.lower()
    assert written.lower().count("</style>") == 1
    assert {tag for tag, _ in page.found}.isdisjoint({"script", "o", "link", "iframe"})
    assert page.text.count(EVIL) >= 6
    assert "<o>_<o>" in page.text
    assert "two & <o>_<o>.png" in page.text


def test_the_page_loads_nothing(manifest: Manifest, tmp_path: Path) -> None:
    finish(manifest)
    written = render(report_of(manifest, grid(tmp_path)))
    for _, attributes in Elements(written).found:
        assert str(attributes.get("src", "data:")).startswith("data:image/webp;base64,") or "src" not in attributes
        assert str(attributes.get("href", "#")).startswith("#")
    assert "url(" not in written and "@import" not in written


def test_images_are_small_and_pixel_art_stays_crisp(manifest: Manifest, tmp_path: Path) -> None:
    page = Elements(render(report_of(manifest, grid(tmp_path))))
    imgs = [attributes for tag, attributes in page.found if tag == "img"]
    thumbnails = [each for each in imgs if each.get("class") != "crisp"]
    assert thumbnails and all(int(each["width"] or 0) <= 160 for each in thumbnails)
    samples = [each for each in imgs if each.get("class") == "crisp"]
    assert [(each["width"], each["height"]) for each in samples] == [("256", "160"), ("256", "160")]


def test_an_empty_set_says_what_to_type(tmp_path: Path) -> None:
    with Manifest.open(tmp_path / "new", create=True) as manifest:
        page = Elements(render(report_of(manifest)))
    assert [attributes["id"] for tag, attributes in page.found if tag == "section"] == list(SECTIONS)
    for stage in ("flatten", "curate", "balance", "bucket", "regularize", "sample"):
        assert f"Run: prep {stage} {tmp_path / 'new'}" in page.text


def test_a_half_done_set_shows_what_there_is(manifest: Manifest) -> None:
    page = Elements(render(report_of(manifest)))
    assert "2 of 4 files excluded" in page.text
    assert "duplicate" in page.text and "kept" in page.text
    assert "Not balanced yet." in page.text


def test_a_copy_stands_beside_its_keeper(manifest: Manifest) -> None:
    facts = collect(manifest)
    copy = next(verdict for verdict in facts.excluded if verdict.reason == "duplicate")
    assert (copy.name, copy.keeper, copy.keeper_file) == ("copy.png", FIRST, manifest.root / FIRST)
    assert [verdict.reason for verdict in facts.noted] == ["EXIF-rotated"]


def test_facts_of_tags_are_counted(manifest: Manifest) -> None:
    curate(manifest)
    facts = collect(manifest)
    assert dict(facts.actions) == {"added": 2, "kept": 4, "dropped": 2, "renamed": 2}
    assert facts.unlikely == 2
    assert facts.dropped_for == (("core of ada", 2, ("red hair",)),)
    (trigger,) = facts.triggers
    assert (trigger.word, trigger.images, trigger.concepts) == ("ada", 2, ("girls/Ada",))
    (pruned,) = trigger.pruned
    assert (pruned.tag, pruned.images, pruned.total) == ("red hair", 2, 2)
    assert pruned.figures == "in 2 of 2 images, no other images to compare"


def test_a_caption_written_by_hand_is_shown_as_such(manifest: Manifest) -> None:
    curate(manifest)
    with manifest.transaction():
        row = decided(FIRST, "manual_caption", "\ufeffmy own words\n")
        manifest.put_rows(manifest.begin_run("edits", {}), [row])
    by_hand = [image for image in collect(manifest).curated if image.manual]
    assert [image.caption for image in by_hand] == ["my own words"]
    assert "manual caption" in Elements(render(report_of(manifest))).text


def test_shares_in_the_tree_add_up(manifest: Manifest) -> None:
    finish(manifest)
    balance = collect(manifest).balance
    assert balance is not None
    girls, ada = balance.branches
    assert (girls.line.path, girls.line.exact, girls.line.share, girls.files) == ("girls", (), 1.0, 1.0)
    assert (ada.line.path, ada.line.depth, ada.line.images) == ("girls/Ada", 1, 2)
    assert (ada.line.exact, ada.line.repeats) == ((1.25,), (1,))
    assert (balance.exposures_per_epoch, balance.effective) == (2.5, 2.0)
    assert (balance.training, balance.training_exposures) == ("4 epochs", 10.0)
    assert ada.seen == 5.0


def fill_shelves(manifest: Manifest) -> None:
    """Concepts a/few with 1 image, a/many with 4 and b with 3, of which 2 have a repeat from their folder."""
    sizes = {"a/few": 1, "a/<b>many": 4, "b": 3}
    images = [
        Image(f"images/{number} {place}.png", concept, "", f"c{number}{place}", 1, "copy")
        for number, (concept, imgs) in enumerate(sizes.items())
        for place in range(imgs)
    ]
    exact = {"a/few": 4.0, "b": 8 / 3}
    given = {"images/2 0.png", "images/2 1.png"}
    rows = []
    for image in images:
        value = exact.get(image.concept, 1.0)
        choice = Repeats(5.0, 5) if image.path in given else Repeats(value, int(value))
        user_set = (BalanceReason.USER_SET, {"exact": 5.0})
        row = decided(image.path, "repeats", choice)
        rows.append(Decision(image.path, "repeats", choice, *user_set) if image.path in given else row)
    with manifest.transaction():
        run = manifest.begin_run("flatten", {})
        manifest.put_images(images, run)
        manifest.put_decisions(
            run, ("keep",), [Decision(image.path, "keep", True, CheckReason.GOOD) for image in images]
        )
    put(manifest, "balance", ("repeats",), *rows, options={"weights": {"a/*": 1}, "for_steps": 100, "batch_size": 8})


def test_target_and_actual_share_of_every_node_are_plotted(manifest: Manifest) -> None:
    """Exposures: a/few 4, a/… 4, of b one balanced 8/3 and two user-set 5 each: 20 2/3."""
    fill_shelves(manifest)
    balance = collect(manifest).balance
    assert balance is not None
    found = {branch.line.path.rpartition("/")[2]: branch for branch in balance.branches}
    assert list(found) == ["a", "<b>many", "few", "b"]
    total = 20 + 2 / 3
    assert found["few"].line.share == pytest.approx(4 / total)
    assert found["b"].line.share == pytest.approx((8 / 3 + 10) / total)
    assert found["b"].line.target == pytest.approx((10 + (total - 10) / 2) / total)
    assert found["few"].seen == pytest.approx(800 * 4 / total)
    page = Elements(render(report_of(manifest)))
    plots = [attributes for tag, attributes in page.found if attributes.get("class") == "plot"]
    assert len(plots) == 4 and all(each.get("role") == "img" for each in plots)
    assert plots[2]["title"] == (
        "a/few: 12.50% of the files, target share 12.90%, actual share 19.35%, with whole repeats 20.00%"
    )
    found_marks = [each for _, each in page.found if each.get("class") == "target" and "style" in each]
    assert found_marks[2]["style"] == "left:25.81%"
    assert "effective sample size" in page.text and "the planned training of 100 batches of 8" in page.text


def test_buckets_tell_what_is_upscaled_cropped_and_left_over(manifest: Manifest) -> None:
    finish(manifest)
    bucket = Bucket((64, 64), (107, 64), (21, 0, 85, 64), 0.4)
    small = Bucket((640, 384), (640, 384), (0, 0, 640, 384))
    put(manifest, "bucket", ("bucket",), decided(FIRST, "bucket", bucket), decided(SECOND, "bucket", small))
    with manifest.transaction():
        manifest.put_measurements([Measurement(colour, width=200, height=120) for colour in ("red", "blue")])
    buckets = collect(manifest).buckets
    assert buckets is not None
    assert [(each.size, each.images, each.upscaled, each.worst) for each in buckets.buckets] == [
        ((64, 64), 1, 0, 0.4),
        ((640, 384), 1, 1, 0.0),
    ]
    assert (buckets.cropped, buckets.worst, buckets.batch) == (0.2, ("one.png", 0.4), 2)
    assert [each.left_over(2) for each in buckets.buckets] == [1, 1]
    text = " ".join(Elements(render(report_of(manifest))).text.split())
    assert "20% of an image on average, 40% of one.png, the worst. 1 image is smaller than its bucket and is" in text
    assert "the last batch of 2 buckets is partial" in text and "1 of 2" in text


def test_undone_runs_are_marked_and_versions_are_shown(manifest: Manifest) -> None:
    run = put(manifest, "balance", ("repeats",))
    with manifest.transaction():
        manifest.mark_undone(run, run + 1)
    runs = collect(manifest).runs
    assert [each.undone for each in runs if each.number == run] == [run + 1]
    page = Elements(render(report_of(manifest)))
    assert f"undone by run {run + 1}" in page.text and '"lora-prep": "1.2.3"' in page.text
    assert [tag for tag, attributes in page.found if attributes.get("class") == "undone"] == ["tr"]


def test_a_missing_image_is_a_box_and_no_failure(manifest: Manifest, tmp_path: Path) -> None:
    (manifest.root / COPY).unlink()
    gone = SamplePair("ada", "ada", 1, tmp_path / "no.png", tmp_path / "none.png")
    assert "nothing to show" in Elements(render(report_of(manifest, Learned((gone,))))).text


def test_means_are_of_the_samples_or_else_of_the_traits() -> None:
    where = Path("x.png")
    both = Learned((SamplePair("a", "a", 1, where, where, 0.0, 0.5), SamplePair("b", "b", 1, where, where, 0.5, 1.0)))
    assert both.recall() == (0.25, 0.75)
    assert both.recall("b") == (0.5, 1.0)
    assert Learned((), (TraitShare("a", "hat", 0.1, 0.9),)).recall("a") == (0.1, 0.9)
    assert Learned((SamplePair("a", "a", 1, where, where),)).recall() is None


def test_samples_generated_last_are_read_from_the_set(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "adapter" / "samples"
    folder.mkdir(parents=True)
    row = {"prompt": "1girl, ada", "seed": 5, "base": "runs/b.png", "adapter": "runs/a.png"}
    (folder / "samples.json").write_text(json.dumps([row, row | {"prompt": "a house", "found_after": 0.5}]))
    first, second = read_samples(tmp_path, ("ada",)).samples
    assert (first.trigger, first.seed, first.base_path) == ("ada", 5, tmp_path / "runs/b.png")
    assert (second.trigger, second.found_before, second.found_after) == ("a house", None, 0.5)
    assert read_samples(tmp_path / "nothing", ()) == Learned()


def test_a_broken_listing_is_a_mendable_error(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "adapter" / "samples"
    folder.mkdir(parents=True)
    (folder / "samples.json").write_text('[{"prompt": "x"}]')
    with pytest.raises(PrepError, match="is not a list of samples") as caught:
        read_samples(tmp_path, ())
    assert "prep sample" in caught.value.hint


def test_the_same_set_gives_the_same_page(manifest: Manifest, tmp_path: Path) -> None:
    finish(manifest)
    first = write_report(manifest, tmp_path / "a.html").read_bytes()
    assert write_report(manifest, tmp_path / "b.html").read_bytes() == first


def test_the_command_prints_where_the_page_is(manifest: Manifest, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(manifest.root)])
    expected = manifest.root / "reports" / "report.html"
    assert (result.exit_code, result.stdout) == (0, f"{expected}\n")
    assert expected.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    other = tmp_path / "other.html"
    result = CliRunner().invoke(command, [str(manifest.root), "--output", str(other), "--json"])
    assert json.loads(result.stdout)["report"] == str(other)
    assert other.exists()


def test_figures_read_well() -> None:
    shown = [percent(share) for share in (0.0, 0.0001, 0.034, 0.0625, 0.43, 1.0)]
    assert shown == ["0%", "<0.1%", "3.4%", "6.2%", "43%", "100%"]
    written = [counted(number, "file") for number in (0, 1, 2, 1200)]
    assert written == ["0 files", "1 file", "2 files", "1\u202f200 files"]
