"""Tags that are in no caption unless asked for."""

from __future__ import annotations

import pytest

from pipeline.tags.vocabulary.unsaid_tags import unsaid


@pytest.mark.parametrize(
    ("tag", "group"),
    [
        *((tag, "meta") for tag in ("highres", "absurdres", "commentary request", "bad id", "translation request")),
        *(
            (tag, "meta")
            for tag in ("bad pixiv id", "english commentary", "partial commentary", "artist request", "tagme")
        ),
        *((tag, "deprecated") for tag in ("bangs", "legwear", "eyewear")),
        *((tag, None) for tag in ("smile", "blunt bangs", "eyewear on head", "bad anatomy", "identity", "requesting")),
    ],
)
def test_tags_about_the_file_and_those_given_up_are_known_by_name(tag: str, group: str | None) -> None:
    assert unsaid(tag) == group
