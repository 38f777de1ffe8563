"""Questions about images: every one is what it says, its negation is the rest, and a slip is named."""

from dataclasses import replace

import numpy as np
import pytest
from desks import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from pipeline.review.query.completing import complete_query, complete_tag
from pipeline.review.query.reading import read
from pipeline.review.query.searching import ORDERS, facets, search
from pipeline.review.query.terms import FIGURES, And, Asked, Everything, Figure, Held, Not, Or, ScoreOf, mask
from pipeline.review.snapshot.scores import read_scores
from pipeline.store.manifest import Manifest
from pipeline.store.records import Tagger

VALUES = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()) and "\x00" not in text)
NUMBERS = st.integers(-1000, 1000).map(lambda number: number / 8)
SIGNS = st.sampled_from([">=", "<=", ">", "<", "="])
LEAVES = st.one_of(
    st.builds(Held, st.sampled_from(["", "tag", "path", "caption", "name", "concept"]), VALUES),
    st.builds(Figure, st.sampled_from(FIGURES), SIGNS, NUMBERS),
    st.builds(ScoreOf, VALUES, SIGNS, NUMBERS),
)
TERMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(TERMS)
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_again(term):
    assert read(str(term)) == term


@given(TERMS)
@settings(max_examples=60, deadline=None)
def test_the_negation_of_a_question_means_the_rest(reading, term):
    asked = Asked(reading.desk.snapshot(), reading.desk.scores)
    assert np.array_equal(mask(Not(term), asked), ~mask(term, asked))


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_question_or_a_problem_in_words(text):
    try:
        read(text)
    except PrepError as problem:
        assert problem.message and problem.hint


def paths(desk, query: str, order: str = "path") -> list[str]:
    snapshot = desk.desk.snapshot()
    return [snapshot.images[row].path for row in search(snapshot, desk.desk.scores, query, order).rows.tolist()]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("saber_(fate)", Held("", "saber_(fate)")),
        ("-tag:saber_(fate)", Not(Held("tag", "saber_(fate)"))),
        ('a "AND"', And((Held("", "a"), Held("", "AND")))),
        ("-_-", Held("", "-_-")),
        ("--_-", Not(Held("", "-_-"))),
        ("area>=1234567890123", Figure("area", ">=", 1234567890123.0)),
    ],
)
def test_names_of_the_board_and_large_numbers_are_read_whole(text, term):
    assert read(text) == term == read(str(term))


def test_nothing_asks_for_everything(reading):
    assert read("  ") == Everything() and len(paths(reading, "")) == len(reading.desk.snapshot()) == 12


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("concept:characters", 7),
        ("concept:characters/Lumi", 7),
        ("concept:artists OR concept:characters", 12),
        ("concept:artists -concept:artists", 0),
        ("verdict:dropped", 2),
        ("NOT verdict:kept", 2),
        ("reason:too_small", 1),
        ("width<30", 1),
        ("group:any", 2),
        ("verdict:edited", 1),
        ("by:person (concept:artists verdict:kept)", 1),
        ("path:*/0.png", 2),
        ("name:0.png", 2),
        ('name:"[b]"', 1),
        (f'caption:"{HOSTILE}"', 1),
        ("side>=24 tags>=0 repeats>0", 10),
    ],
)
def test_what_a_question_means(reading, query, count):
    assert len(paths(reading, query)) == count


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("colour:red", "colour: is nothing that can be asked"),
        ("concpt:artists", "concept:"),
        ("widht>3", "width"),
        ("width>many", "no number"),
        ("concept:artist", "artists"),
        ("tag:solx", "solo"),
        ("verdict:lost", "kept"),
        ("lacks:nothing", "caption"),
        ("(solo", "bracket is not closed"),
        ("solo)", "never opened"),
        ('"solo', "not closed"),
        ("NOT", "stands before nothing"),
        ("solo OR", "missing beside OR"),
        ("score:", "without a tag"),
        ("tag:", "without a value"),
        ("(" * 60 + "a" + ")" * 60, "nested"),
        ("a" * 3000, "letters"),
        ("score:smile:0.4..0.2", "type score:smile:0.2..0.4"),
        ("score:smile:-1..2", "scores are 0 to 1"),
        ("width>1_000", "width>1000"),
    ],
)
def test_a_slip_is_named_with_what_may_have_been_meant(reading, query, words):
    with pytest.raises(PrepError) as problem:
        paths(reading, query)
    assert words in f"{problem.value.message} {problem.value.hint}"


def test_the_order_is_that_of_the_figure_and_unknown_figures_come_last(reading):
    snapshot = reading.desk.snapshot()
    for order, _ in ORDERS:
        assert sorted(paths(reading, "", order)) == [image.path for image in snapshot.images]
    widths = {image.path: snapshot.figures["side"][row] for row, image in enumerate(snapshot.images)}
    found = [widths[path] for path in paths(reading, "", "side")]
    assert found == sorted(found)
    scores = reading.desk.scores().of("smile", snapshot.images)
    near = {image.path: abs(scores[row] - 0.5) for row, image in enumerate(snapshot.images)}
    found = [near[path] for path in paths(reading, "verdict:kept", "doubt:smile")]
    known = [value for value in found if not np.isnan(value)]
    assert known == sorted(known) and all(np.isnan(found[len(known) :]))


def test_counts_are_those_inside_what_is_shown(reading):
    snapshot = reading.desk.snapshot()
    rows = search(snapshot, reading.desk.scores, "concept:artists").rows
    found = facets(snapshot, rows)
    assert found["concepts"] == [{"value": "artists", "count": 5, "words": "artists"}]
    for row in found["tags"]:
        assert row["count"] == len(paths(reading, f'concept:artists tag:"{row["value"]}"'))
    for row in found["reasons"]:
        assert row["count"] == len(paths(reading, f"concept:artists reason:{row['value']}"))


def test_the_sets_own_tags_come_first_and_old_names_become_new_ones(reading):
    snapshot, scores = reading.desk.snapshot(), reading.desk.scores()
    values = [choice["value"] for choice in complete_tag(snapshot, scores, "sol")]
    assert values[0] == "solo"
    assert complete_tag(snapshot, scores, "hat, sol")[0]["value"] == "hat, solo"
    assert complete_tag(snapshot, scores, "") == []
    assert any("→" in choice["words"] for choice in complete_tag(snapshot, scores, "oppai"))


def test_a_question_is_completed_at_its_last_term(reading):
    snapshot, scores = reading.desk.snapshot(), reading.desk.scores()
    assert {"concept:", "contrast>="} <= {choice["words"] for choice in complete_query(snapshot, scores, "solo con")}
    values = [choice["value"] for choice in complete_query(snapshot, scores, "solo -concept:char")]
    assert values == ["solo -concept:characters", "solo -concept:characters/Lumi"]
    for choice in complete_query(snapshot, scores, 'verdict:kept tag:"s'):
        assert read(choice["value"])


def test_copies_come_in_the_other_order_where_it_is_turned(reading):
    snapshot = reading.desk.snapshot()
    groups = snapshot.groups.copy()
    groups[:] = [0, 0, 1, 1] + [-1] * (len(groups) - 4)
    turned = search(replace(snapshot, groups=groups), reading.desk.scores, "", "-group").rows
    assert groups[turned].tolist()[:5] == [1, 1, 0, 0, -1], "what has no copies comes last either way"


@pytest.mark.parametrize("order", ["doubt:smlie", "score:smlie"])
def test_an_order_by_a_tag_that_was_never_scored_names_those_near_it(reading, order):
    with pytest.raises(PrepError) as problem:
        paths(reading, "", order)
    assert "no tagger scored 'smlie'" in problem.value.message and "smile" in problem.value.hint


def test_each_taggers_score_is_held_against_its_own_threshold(root):
    with Manifest.open(root) as manifest, manifest.transaction():
        image = manifest.images()[0]
        for name, limit, score in (("strict", 0.8, 0.75), ("lax", 0.2, 0.6)):
            tagger = Tagger(name, "1", "none", "CPU", {"odd tag": "general"}, {"general": limit})
            manifest.put_tagger(tagger)
            manifest.put_scores(tagger.id, {image.content: {"odd tag": score}})
        scores = read_scores(manifest)
    assert scores.doubt("odd tag", [image])[0] == pytest.approx(0.6 - 0.2)
    assert scores.threshold("no such tag") == 0.2, "what the newest tagger publishes"


def test_a_comma_between_terms_does_not_break_what_is_completed(reading):
    snapshot, scores = reading.desk.snapshot(), reading.desk.scores()
    for typed in ('tag:"hat, sol', "tag:solo, sol", "tag:solo,sol"):
        values = [choice["value"] for choice in complete_query(snapshot, scores, typed)]
        assert values and all("," not in value for value in values), values
        assert any(value.endswith("tag:solo") for value in values)


def test_what_is_typed_is_offered_last_where_it_is_a_question_already(reading):
    snapshot, scores = reading.desk.snapshot(), reading.desk.scores()
    assert complete_query(snapshot, scores, "verdict:kept sol")[-1]["value"] == "verdict:kept sol"
    assert "tag:sol" not in [choice["value"] for choice in complete_query(snapshot, scores, "tag:sol")]
