"""The figures of lists of traits against each other, on lists small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path

from .trait_lists import of_imgutils, of_pipeline, read, report

VOCABULARY = (
    "tag,posts\nred_hair,60\nhorse_girl,30\nclosed_eyes,50\ndrying_hair,10\nfloating_hair,5\nhat_over_one_eye,5\n"
)


def test_lists_are_read_where_they_lie_and_held_against_our_table(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text(VOCABULARY, encoding="utf-8")
    (tmp_path / "character_tags.json").write_text(
        json.dumps({"whitelist": ["closed eyes"], "suffixes": [["hair"], ["girl"]], "prefixes": [["hat over"]]}),
        encoding="utf-8",
    )
    (tmp_path / "character.py").write_text(
        "_CHAR_WHITELIST = ['closed_eyes']\n_CHAR_SUFFIXES = ['hair', 'eye']\n_CHAR_PREFIXES = []\nraise SystemExit\n",
        encoding="utf-8",
    )
    lists = {
        "the pipeline": of_pipeline(tmp_path / "character_tags.json"),
        "imgutils": of_imgutils(tmp_path / "character.py"),
    }
    _, pipeline, mirrored, imgutils, _, *differences = report(read(tmp_path / "tags.csv"), lists, 9)
    # ours: red hair 60, horse girl 30; the pipeline's: those, and drying hair 10, floating hair 5, hat over one eye 5
    assert pipeline.split()[-7:] == ["5", "0.400", "/", "0.818", "1.000", "/", "1.000"]
    assert mirrored.split()[-7:] == ["2", "1.000", "/", "1.000", "0.400", "/", "0.818"]
    # imgutils': red hair, drying hair, floating hair and hat over one eye; closed eyes it lists as none
    assert imgutils.split()[-7:] == ["4", "0.250", "/", "0.750", "0.500", "/", "0.667"]
    assert differences[0] == "\nonly in the pipeline (3 tags): drying hair, floating hair, hat over one eye"
    assert differences[3] == "\nonly in ours (1 tags): horse girl"
