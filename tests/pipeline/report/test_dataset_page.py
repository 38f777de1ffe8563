"""The page tells what the manifest holds, and no name in it can become markup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from decided import decided
from reported_sets import COPY, EVIL, FIRST, Elements, curate, finish, grid, put

from pipeline.cli.commands.report import command
from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted, percent
from pipeline.report.dataset.facts import collect
from pipeline.report.dataset.page import render, report_of, write_report
from pipeline.report.dataset.samples import Learned, SamplePair, TraitShare, read_samples
from pipeline.store.manifest import Manifest

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


def test_the_caption_of_every_kept_image_is_on_the_page_and_its_count(manifest: Manifest) -> None:
    curate(manifest)
    captions = collect(manifest).captions
    kept = {(image.concept, Path(image.path).name) for image in manifest.kept()}
    assert {row[:2] for row in captions} <= kept and len(captions) == len(manifest.decisions("caption")) > 1
    text = Elements(render(report_of(manifest))).text
    assert f"All {len(captions)} captions" in text and all(row[2] in text for row in captions)


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
