import pytest

from pipeline.core.fonts import printable, shortened, writing


@pytest.mark.parametrize(
    "text", ["plain.png", "Łódź — naïve.png", "小林さん.png", "кот.png", "قط.png", "🦊.png", "[/bold]"]
)
def test_names_in_any_script_become_text_that_the_font_draws(text):
    drawn = shortened(text, 15, 10_000)
    font = writing(15, drawn)
    lacking = bytes(font.getmask("\uffff"))
    assert len(drawn) == len(text) and drawn.endswith(text[-4:] if text.isascii() else "")
    assert not [letter for letter in drawn if bytes(font.getmask(letter)) == lacking]


def test_letters_that_no_font_draws_become_a_question_mark():
    assert shortened("a\U0010fffdb", 15, 1000) == "a?b"


def test_a_long_text_loses_its_middle_and_fits():
    text = "a very long name of an image 0001.png"
    short = shortened(text, 15, 150)
    assert short.startswith("a very") and short.endswith(".png") and "..." in short
    assert writing(15).getlength(short) <= 150 < writing(15).getlength(text)
    assert shortened("short.png", 15, 150) == "short.png"


def test_line_breaks_do_not_reach_the_drawing():
    assert printable("a\nb\x1b[0m\u202ec") == "a?b?[0m?c"
