"""What the page says of balance and buckets adds up."""

from __future__ import annotations

import pytest
from decided import decided
from reported_sets import FIRST, SECOND, Elements, finish, put

from pipeline.report.dataset.facts import collect
from pipeline.report.dataset.page import render, report_of
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.balance import BalanceReason
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Measurement
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats


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
