"""A run can be of some concepts and images alone; the stages before stay as they are."""

from __future__ import annotations

import re

import pytest

from pipeline.core.errors import PrepError
from pipeline.store.records import Image
from train.data.subset import is_meant, subset

KEPT = tuple(
    Image(f"images/{concept.replace('/', '~')}/{name}.png", concept, "/src", f"{number:064x}", 1, "copy")
    for number, (concept, name) in enumerate(
        [
            ("characters/fanart/Lumi", "a"),
            ("characters/fanart/Quill", "b"),
            ("characters/screenshots/Lumi", "c [1]"),
            ("artists/alder", "x"),
        ]
    )
)


def named(only: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> str:
    return "".join(image.path.rpartition("/")[2][0] for image in subset(KEPT, only, without))


@pytest.mark.parametrize(
    ("only", "without", "found"),
    [
        ((), (), "abcx"),
        (("characters",), (), "abc"),
        (("characters/fanart/*",), (), "ab"),
        (("Lumi",), (), "ac"),
        (("fanart/Lumi", "artists/*"), (), "ax"),
        (("c [1].png",), (), "c"),
        (("images/artists~alder/*",), (), "x"),
        ((), ("screenshots",), "abx"),
        (("characters",), ("Lumi",), "b"),
        (("characters/",), ("b.png",), "ac"),
    ],
)
def test_what_is_named_is_trained_on_or_left_out(only, without, found) -> None:
    assert named(only, without) == found


def test_a_part_of_a_name_is_no_name() -> None:
    assert not is_meant(KEPT[0], "Lum") and not is_meant(KEPT[0], "fan")
    assert not is_meant(KEPT[2], "c 1.png"), "brackets are letters"


@pytest.mark.parametrize(
    ("only", "without", "said"),
    [
        (("characters/fanart/Lumy",), (), "only names 'characters/fanart/Lumy'.*did you mean characters/fanart/Lumi"),
        ((), ("zzz",), "without names 'zzz'"),
        (("Lumi",), ("characters",), "leave no image"),
    ],
)
def test_what_names_nothing_or_leaves_nothing_is_refused(only, without, said) -> None:
    with pytest.raises(PrepError) as caught:
        subset(KEPT, only, without)
    assert re.search(said, f"{caught.value.message} {caught.value.hint}")
