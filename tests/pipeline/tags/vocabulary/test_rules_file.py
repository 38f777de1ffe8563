from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from pipeline.tags.vocabulary.aliases import canonical
from pipeline.tags.vocabulary.rules_file import lists_of, parse_rules, read_rules

TEXT = """
# what I decided
rename: ;) -> wink smile
rename: :d -> open smile
rename: >:) -> evil smile
drop: *background*
threshold: wariza = 0.6
threshold: =_= = 0.4
keep: Mihari: blue_eyes
keep: Re: Zero: :3
prune: watch
imply: holding sword -> sword
distinct: hair bow -> bow
"""


def test_every_kind_of_rule_is_read_and_any_tag_can_be_named() -> None:
    rules, problems = parse_rules(TEXT)
    assert problems == ()
    assert rules.rename == {";)": "wink smile", ":d": "open smile", ">:)": "evil smile"}
    assert rules.drop == ["*background*"]
    assert rules.threshold == {"wariza": 0.6, "=_=": 0.4}
    assert rules.keep == {"Mihari": ["blue eyes"], "Re: Zero": [":3"]}
    assert rules.prune == {"*": ["watch"]}
    assert rules.imply == [("holding sword", "sword")]
    assert rules.distinct == [("hair bow", "bow")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("renam: a -> b", "line 1: 'renam: a -> b' begins with none of rename, drop, threshold"),
        ("renam: a -> b", "did you mean rename?"),
        ("hello", "line 1: 'hello' begins with none of"),
        ("rename: a", "line 1: 'rename: a': expected rename: tag -> another tag, without commas"),
        ("rename: a -> b, c", "expected rename: tag -> another tag"),
        ("rename: a -> b\nrename: a -> c", "line 2: 'rename: a -> c': expected one name only, a is renamed to b above"),
        ("drop:", "expected drop: one tag or pattern"),
        ("threshold: a = much", "expected threshold: tag = a probability above 0, at most 1"),
        ("threshold: a = 1.5", "expected threshold"),
        ("threshold: 0.5", "expected threshold"),
        ("keep: ", "expected keep: trigger word: one tag, or keep: one tag"),
        ("imply: a -> a", "expected imply: the exact tag -> the general tag"),
    ],
)
def test_a_line_that_is_wrong_is_reported_with_its_number_and_what_was_expected(line: str, words: str) -> None:
    assert any(words in problem for problem in parse_rules(line)[1])


@pytest.mark.parametrize("tag", [";)", ":d", ":3", ">:)", "=_=", ">_<", "(o)_(o)", "\\m/", "a (b)", "x:y", "d:"])
def test_a_tag_of_any_letters_can_be_renamed_banned_kept_and_given_a_threshold(tag: str) -> None:
    lines = f"rename: {tag} -> x\ndrop: {tag}\nthreshold: {tag} = 0.5\nkeep: Lumi: {tag}\nprune: {tag}"
    rules, problems = parse_rules(lines)
    assert problems == ()
    assert (rules.rename, rules.drop, rules.threshold) == ({tag: "x"}, [tag], {tag: 0.5})
    assert (rules.keep, rules.prune) == ({"Lumi": [tag]}, {"*": [tag]})


@given(st.text(alphabet="abc:;=->_<()*# \t", max_size=40))
def test_a_line_is_a_rule_a_problem_or_nothing_and_never_a_crash(line: str) -> None:
    rules, problems = parse_rules(line)
    held = sum(
        map(len, (rules.rename, rules.drop, rules.threshold, rules.keep, rules.prune, rules.imply, rules.distinct))
    )
    reported = bool(line.strip()) and not line.strip().startswith("#")
    assert held + len(problems) == reported


def test_all_problems_of_a_file_come_together_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text("drop\n\nrename: x\n", encoding="utf-8")
    with pytest.raises(PrepError) as caught:
        read_rules(file)
    first, second = caught.value.message.split("\n")
    assert first.startswith(f"{file}, line 1: 'drop' begins with none of") and second.startswith(f"{file}, line 3: ")
    assert caught.value.hint == f"mend {file} and run the same again"


def test_a_file_may_begin_with_a_mark_and_end_its_lines_as_windows_does(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_bytes("\ufeffdrop: ♥\r\nrename: a -> b\r\n".encode())
    assert (read_rules(file).drop, read_rules(file).rename) == (["♥"], {"a": "b"})


def test_a_file_that_is_not_there_or_no_utf8_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PrepError, match="cannot be read: No such file"):
        read_rules(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"drop: a\ndrop: caf\xe9\n")
    with pytest.raises(PrepError, match=r"latin.txt, line 2 is not UTF-8"):
        read_rules(tmp_path / "latin.txt")


def test_lists_of_a_file_and_of_an_option_are_put_together() -> None:
    assert lists_of({"Lumi": ["red hat"]}, {"Lumi": "big_ahoge, red_hat", "*": "watch"}, canonical) == {
        "Lumi": ("red hat", "big ahoge"),
        "*": ("watch",),
    }
