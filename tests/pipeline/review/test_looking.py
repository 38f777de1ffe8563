"""What only looks at a set: nothing is written by it, and nothing is taken for good that may change."""

from click.testing import CliRunner

from pipeline.cli.main import prep
from pipeline.review import desk as desk_module
from pipeline.store.caption_files import caption_file
from pipeline.store.lock import lock
from pipeline.store.manifest import Manifest


def newest_run(root):
    with Manifest.open(root) as manifest:
        return manifest.runs()[-1].id


def edited(root):
    """Edit one caption on disk."""
    with Manifest.open(root) as manifest:
        caption_file(root, manifest.images()[0].path).write_text("written by hand", encoding="utf-8")


def test_a_dry_run_takes_no_edited_caption_in(root):
    before = newest_run(root)
    edited(root)
    result = CliRunner().invoke(prep, ["images", "drop", str(root), "all", "--dry-run"], standalone_mode=False)
    assert result.exception is None and "nothing was written" in result.output
    assert newest_run(root) == before


def test_what_cannot_be_shown_now_is_asked_for_again(desk, root):
    image = desk.desk.snapshot().images[0]
    address = f"/{desk.secrets.prefix}/preview/{image.content}.webp"
    assert "immutable" in desk.ask("GET", address, desk.headers)[1]["cache-control"]
    (root / image.path).unlink()
    assert desk.ask("GET", address, desk.headers)[1]["cache-control"] == "no-store"


def test_edited_captions_are_taken_in_with_the_set_held(desk, root, monkeypatch):
    held = []
    monkeypatch.setattr(desk_module, "LOOK_AT_FILES_EVERY", 0.0)
    monkeypatch.setattr(desk_module, "take_in", lambda manifest: held.append(desk_module.holder(root)))
    desk.desk.snapshot()
    assert held and "prep review" in held[0]
    with lock(root, "curate"):
        held.clear()
        desk.desk.snapshot()
    assert not held, "another prep is at work"
