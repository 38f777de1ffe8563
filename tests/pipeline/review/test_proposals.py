"""Proposals: found in what the stages decided, settled by an answer, and not made again."""

from desks import Served, run

from pipeline.review.proposals.finding import KINDS
from pipeline.store.caption_files import caption_file
from pipeline.store.manifest import Manifest


def proposals(desk: Served, kind: str) -> list[dict]:
    return [each for each in desk.get("api/proposals")["proposals"] if each["kind"] == kind]


def settle(desk: Served, found: list[dict], answer: int | None) -> dict:
    names = [{key: each[key] for key in ("kind", "key", "about")} for each in found]
    status, said = desk.post("settle", {"proposals": names, "answer": answer})
    assert status == 200, said
    return said


def kept(desk: Served, path: str) -> bool:
    return desk.desk.read(lambda manifest: manifest.decisions("keep")[path].value)


def test_nothing_is_applied_before_it_is_accepted(one_set, reading):
    with Manifest.open(one_set) as manifest:
        before = list(manifest.all_decisions())
    assert reading.get("api/proposals")["proposals"]
    with Manifest.open(one_set) as manifest:
        assert list(manifest.all_decisions()) == before


def test_a_near_copy_is_kept_instead_of_the_other(desk, root):
    (found,) = proposals(desk, "copies")
    first, second = (image["path"] for image in found["images"])
    assert kept(desk, first) and not kept(desk, second)
    settle(desk, [found], found["answers"].index("keep the second instead"))
    assert not kept(desk, first) and kept(desk, second) and not proposals(desk, "copies")
    run("check", root)
    assert not kept(desk, first) and kept(desk, second) and not proposals(desk, "copies")


def test_both_near_copies_are_kept(desk, root):
    (found,) = proposals(desk, "copies")
    settle(desk, [found], found["answers"].index("keep both"))
    run("check", root)
    assert all(kept(desk, image["path"]) for image in found["images"])


def test_a_rejected_proposal_is_not_made_again_even_after_its_stage_ran(desk, root):
    (found,) = proposals(desk, "judged")
    before = kept(desk, found["about"])
    settle(desk, [found], None)
    assert not proposals(desk, "judged") and kept(desk, found["about"]) == before
    run("check", root)
    assert not proposals(desk, "judged")
    status, said = desk.post(
        "settle", {"proposals": [{key: found[key] for key in ("kind", "key", "about")}], "answer": 0}
    )
    assert status == 400 and "settled" in said["error"]
    desk.post("undo", {})
    assert proposals(desk, "judged"), "undone, it is proposed again"


def test_a_misspelt_tag_is_written_right_in_all_captions_at_once(desk, root):
    two = list(desk.ids("concept:characters verdict:kept"))[:2]
    for path in two:
        caption_file(root, path).write_text("Lumi, 1girl, smlie", encoding="utf-8")
    run("curate", root)
    (found,) = [each for each in proposals(desk, "spelling") if "smlie" in each["title"]]
    assert {image["path"] for image in found["images"]} == set(two)
    said = settle(desk, [found], 0)
    assert said["run"] and all("smile" in caption_file(root, path).read_text(encoding="utf-8") for path in two)
    desk.post("undo", {})
    assert all("smlie" in caption_file(root, path).read_text(encoding="utf-8") for path in two)


def test_a_general_tag_beside_an_exact_one_is_taken_out_of_a_persons_caption(desk, root):
    path = next(iter(desk.ids("concept:artists verdict:kept")))
    caption_file(root, path).write_text("1girl, witch hat, hat", encoding="utf-8")
    run("curate", root)
    (found,) = [each for each in proposals(desk, "implied") if each["key"] == "witch hat:hat"]
    settle(desk, [found], 0)
    assert caption_file(root, path).read_text(encoding="utf-8") == "1girl, witch hat"


def test_a_core_trait_is_kept_promptable(desk, root):
    found = proposals(desk, "trait")[0]
    tag = found["key"].partition(":")[2]
    path = found["images"][0]["path"]
    assert tag not in caption_file(root, path).read_text(encoding="utf-8")
    settle(desk, [found], found["answers"].index("keep it in the captions"))
    assert tag in caption_file(root, path).read_text(encoding="utf-8")
    run("curate", root)
    assert tag in caption_file(root, path).read_text(encoding="utf-8")


def test_all_alike_are_one_run(desk):
    found = proposals(desk, "trait")
    runs = desk.desk.read(lambda manifest: len(manifest.runs()))
    alike = [each for each in found if each["group"] == found[0]["group"]]
    assert len(alike) > 1
    settle(desk, alike, None)
    assert desk.desk.read(lambda manifest: len(manifest.runs())) == runs + 1
    assert not [each for each in proposals(desk, "trait") if each["group"] == alike[0]["group"]]


def test_a_contradiction_is_put_right(desk, root):
    paths = list(desk.ids("concept:characters verdict:kept"))
    with Manifest.open(root) as manifest, manifest.transaction():
        run_id = manifest.begin_run("test", {})
        value = (
            '[{"attribute": "hair colour", "dominant": "white hair", "rival": "red scarf", "score": 0.6, "dominant_score": null, '
            '"fix": "replace", "subject": "Lumi", "images": 5, "total": 6, "fixed": false}]'
        )
        manifest.put_back(run_id, [(paths[0], "contradictions", value, "conflict", "")])
        manifest.finish_run(run_id, {})
    assert not proposals(desk, "contradiction"), "the caption does not say it"
    desk.post("decide", {"ids": [desk.ids()[paths[0]]], "choice": {"add": ["red scarf"]}})
    (found,) = proposals(desk, "contradiction")
    assert "5 of 6 images of Lumi" in found["evidence"][0]
    settle(desk, [found], 0)
    text = caption_file(root, paths[0]).read_text(encoding="utf-8")
    assert "white hair" in text and "red scarf" not in text and not proposals(desk, "contradiction")


def test_a_crop_that_cuts_is_held_elsewhere(desk, root):
    path = next(iter(desk.ids("verdict:kept")))
    with Manifest.open(root) as manifest, manifest.transaction():
        run_id = manifest.begin_run("test", {})
        value = '{"size": [64, 64], "scaled": [64, 96], "crop": [0, 16, 64, 80], "loss": 0.33, "anchor": "centre"}'
        manifest.put_back(run_id, [(path, "bucket", value, "downscaled_cropped", "")])
        manifest.finish_run(run_id, {})
    (found,) = proposals(desk, "crop")
    assert "33% of" in found["title"]
    settle(desk, [found], found["answers"].index("hold the crop at the top"))
    assert desk.desk.read(lambda manifest: dict(manifest.values("manual_anchor"))) == {path: "top"}


def test_every_kind_has_a_title_and_the_list_says_how_many(reading):
    found = reading.get("api/proposals")
    assert sum(kind["count"] for kind in found["kinds"]) == len(found["proposals"])
    assert {kind["name"] for kind in found["kinds"]} <= {kind.name for kind in KINDS}
    assert all(each["answers"] and each["evidence"] and each["images"] for each in found["proposals"])
