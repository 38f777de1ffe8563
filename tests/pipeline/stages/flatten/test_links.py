"""How images come into the set: copied or linked, and what links in a source lead to."""

import os
import shutil

import pytest
from flattened_sets import placed
from painted_sets import painted, run_flatten, save
from platforms import needs_symlinks

from pipeline.core import disk_space
from pipeline.core.errors import PrepError
from pipeline.sources import room
from pipeline.store.manifest import Manifest
from pipeline.store.wording import figures


def test_where_no_hard_link_can_be_made_the_image_is_copied(source, tmp_path, monkeypatch):
    def link(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    assert {image.link for image in manifest.images()} == {"copy"}
    assert run_flatten(manifest, source).fresh


def test_how_images_come_into_the_set_can_be_chosen_and_changed_and_is_counted(flattened, source):
    outcome = run_flatten(flattened, source, link="copy")
    assert {image.link for image in flattened.images()} == {"copy"} and outcome.counts["linked:copy"] == 5
    assert not any((flattened.root / image.path).samefile(image.source) for image in flattened.images())
    assert run_flatten(flattened, source, link="copy").fresh
    assert run_flatten(flattened, source, link="hardlink").counts["linked:hardlink"] == 5
    assert all((flattened.root / image.path).samefile(image.source) for image in flattened.images())


@needs_symlinks
def test_a_link_that_leads_out_of_its_source_is_left_out_with_the_flag_to_type(flattened, source, tmp_path):
    outside = save(painted(50), tmp_path / "outside/o.png")
    (source / "artists/alder/out.png").symlink_to(outside)
    warnings = run_flatten(flattened, source).plan.warnings
    assert placed(flattened, source)["artists/alder/out.png"] == (None, "link leads out of its source")
    assert "links that lead out of their source, left out; to take them in give --follow-links: 1" in warnings
    run_flatten(flattened, source, follow_links=True)
    row = flattened.decisions("imported")[str(source / "artists/alder/out.png")]
    assert (row.value, figures(row)) == ("images/artists~alder/out.png", f"a link to {outside}")
    there = flattened.root / row.value
    assert there.read_bytes() == outside.read_bytes() and not there.is_symlink()


def test_copies_that_do_not_fit_are_refused_before_anything_is_copied_and_links_are_told(source, tmp_path, monkeypatch):
    manifest = Manifest.open(tmp_path / "small", create=True)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(room, "shares_blocks", lambda folder: False)
    with pytest.raises(PrepError, match=r"5 images of .* are to be copied into .*, where 1 kB are free") as caught:
        run_flatten(manifest, source)
    assert "--link hardlink" in caught.value.hint and not (tmp_path / "small/images").exists()
    outcome = run_flatten(manifest, source, link="hardlink")
    assert any("5 images are the originals themselves, by hardlink" in words for words in outcome.plan.warnings)
    monkeypatch.setattr(room, "TOLD", 1)
    monkeypatch.undo()
    monkeypatch.setattr(room, "TOLD", 1)
    monkeypatch.setattr(room, "shares_blocks", lambda folder: False)
    told = run_flatten(Manifest.open(tmp_path / "large", create=True), source).plan.info
    assert any("5 images are copied into the set" in words and "originals stay untouched" in words for words in told)
