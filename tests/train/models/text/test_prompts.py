import json
import sys

import pytest

from pipeline.core.errors import PrepError
from train.models.text.prompts import Prompt, Request, asked_prompts, filled_in, parse_prompt


def test_a_line_is_a_text_and_then_options_in_any_order():
    line = "masterpiece, 1girl --n low quality, bad hands --h 768 --w 512 --d 42 --s 28 --l 6.5"
    assert parse_prompt(line, "x") == Prompt("masterpiece, 1girl", "low quality, bad hands", 512, 768, 42, 28, 6.5)


def test_options_may_be_upper_case_and_hyphens_within_words_are_text():
    assert parse_prompt("semi--realistic, a-b --W 512\t--L .5", "x") == Prompt(
        "semi--realistic, a-b", width=512, guidance=0.5
    )


def test_a_dash_between_words_and_a_word_with_one_are_text():
    for text in ("1girl - smiling", "x-ray, -, t-shirt", "a -very- long, 1-2", "a -b c"):
        assert parse_prompt(text, "x") == Prompt(text)


def test_a_sampler_is_named_as_kohya_or_a_web_ui_names_it():
    assert parse_prompt("1girl --ss DDIM", "x") == Prompt("1girl", sampler="ddim")
    assert parse_prompt("1girl --ss k_euler_a --s 9", "x") == Prompt("1girl", steps=9, sampler="euler_a")
    assert parse_prompt("1girl --ss DPM++ 2M Karras", "x").sampler == "dpmpp_2m_karras"


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("1girl --cn pose.png", "--cn: there is no ControlNet here"),
        ("1girl --am 0.8", "--am: the adapter is sampled at full strength"),
        (
            "1girl --ss euler_b",
            "--ss: there is no sampler 'euler_b' here; did you mean euler_a, euler or euler_karras?",
        ),
        ("1girl --g 3.5", "--g: it is for distilled models; --l is the guidance"),
        ("1girl --frob 3", "--frob is unknown"),
        ("1girl -- smiling", "-- begins an option, and 'smiling' is none"),
        ("1girl --w 512px", "--w is '512px', it must be a whole number from 8 to 8192"),
        ("1girl --w 512.0", "--w is '512.0'"),
        ("1girl --w ٥١٢", "--w is '٥١٢'"),
        ("1girl --d -1", "--d is '-1', it must be a whole number from 0 to 9223372036854775807; leave it out"),
        ("1girl --d 9223372036854775808", "--d is"),
        (f"1girl --d {'9' * 5000}", "--d is"),
        ("1girl --s 0", "--s is '0', it must be a whole number from 1 to 1000"),
        ("1girl --s 1001", "--s is '1001'"),
        ("1girl --l nan", "--l is 'nan', it must be a number from 0 to 100"),
        ("1girl --l 1e999", "--l is '1e999'"),
        ("1girl --n", "--n is '', it must be a text"),
        ("1girl --w 512 --w 768", "--w is given twice"),
        ("--w 512", "it has no text before its options"),
        ("1girl -w 640", "-w 640 would be words of the prompt: write --w"),
        ("1girl -N bad hands --w 640", "-N bad would be words of the prompt: write --n"),
        ("a [red:blue:0.5] hat", "[red:blue:0.5] changes while the image is made, which is not done here"),
        ("a [cow|horse]", "[cow|horse] changes while the image is made"),
        ("1girl --n [hat:10]", "[hat:10] changes while the image is made"),
        ("1girl <lora:x:0.8>", "<lora:x:0.8> is no words of the prompt: the adapter of the run is used"),
        ("a cat AND a dog", "AND joins prompts in A1111, which is not done here; write and"),
        ("1girl -x 3", "-x 3 would be words of the prompt: an option has two dashes"),
    ],
)
def test_what_cannot_be_done_is_refused_by_place_and_option(line, reported):
    with pytest.raises(PrepError) as caught:
        parse_prompt(line, "prompts.txt, line 3")
    assert caught.value.message.startswith("prompts.txt, line 3: ")
    assert reported in caught.value.message
    assert "--n negative" in caught.value.hint


def test_a_file_has_comments_empty_lines_and_perhaps_a_byte_order_mark(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("\ufeff# girls\n\n1girl, Lumi --d 1\r\n   # more\n2girls, ✨\n", encoding="utf-8", newline="")
    assert asked_prompts((), file, "--sample-prompts") == (Prompt("1girl, Lumi", seed=1), Prompt("2girls, ✨"))


def test_all_that_is_wrong_in_a_file_is_reported_at_once_by_line(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("fine\n# comment\n1girl --w x --h y\nfine too\n2girls --cn a.png\n", encoding="utf-8")
    with pytest.raises(PrepError) as caught:
        asked_prompts((), file, "--sample-prompts")
    places = [message.split(": ")[0].removeprefix(f"{file}, ") for message in caught.value.message.splitlines()]
    assert places == ["line 3", "line 3", "line 5"]


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"\n\n"])
def test_a_file_without_a_prompt_is_refused(tmp_path, content):
    (tmp_path / "prompts.txt").write_bytes(content)
    with pytest.raises(PrepError, match=r"holds no prompt"):
        asked_prompts((), tmp_path / "prompts.txt", "--sample-prompts")


def test_a_file_that_is_missing_or_not_utf8_is_refused(tmp_path):
    with pytest.raises(PrepError, match=r"none\.txt cannot be read"):
        asked_prompts((), tmp_path / "none.txt", "--sample-prompts")
    (tmp_path / "latin.txt").write_bytes("Mädchen".encode("latin-1"))
    with pytest.raises(PrepError, match=r"latin\.txt is not UTF-8"):
        asked_prompts((), tmp_path / "latin.txt", "--sample-prompts")


TOML = """
[prompt]
width = 512
height = 768
negative_prompt = "bad"

[[prompt.subset]]
prompt = "1girl"
seed = 5
scale = 6

[[prompt.subset]]
prompt = "2girls"
width = 640
sample_steps = 12
sample_sampler = "ddim"
"""


def test_kohyas_toml_file_has_what_is_common_and_subsets(tmp_path):
    (tmp_path / "prompts.toml").write_text(TOML, encoding="utf-8")
    assert asked_prompts((), tmp_path / "prompts.toml", "--sample-prompts") == (
        Prompt("1girl", "bad", 512, 768, 5, None, 6),
        Prompt("2girls", "bad", 640, 768, None, 12, sampler="ddim"),
    )


def test_kohyas_json_file_has_objects_or_lines(tmp_path):
    rows = [{"prompt": "1girl", "width": 512, "negative_prompt": ""}, "2girls --s 9"]
    (tmp_path / "prompts.json").write_text(json.dumps(rows), encoding="utf-8")
    assert asked_prompts((), tmp_path / "prompts.json", "--sample-prompts") == (
        Prompt("1girl", width=512),
        Prompt("2girls", steps=9),
    )


@pytest.mark.parametrize(
    ("name", "content", "reported"),
    [
        ("a.json", '[{"prompt": "x", "widht": 3}]', "prompt 1: widht = 3: known are prompt, negative_prompt"),
        ("a.json", '[{"width": 512}]', "prompt 1: it has no prompt"),
        ("a.json", '[{"prompt": "x", "width": true}]', "width is True, it must be a whole number"),
        ("a.json", '[{"prompt": "x", "scale": NaN}]', "scale is nan"),
        ("a.json", '["fine", 7]', "prompt 2: 7 is no prompt"),
        ("a.json", '{"prompt": "x"}', "holds no list of prompts"),
        ("a.json", "[", "is not JSON"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.toml", "x = [", "is not TOML"),
        ("a.toml", '[prompt]\nprompt = "x"', "has no list of subsets"),
        ("a.toml", "[other]\n[[prompt.subset]]\nprompt = 'x'", "has [other]"),
        (
            "a.toml",
            "[[prompt.subset]]\nprompt = 'x'\nsample_sampler = 'oiler'",
            "prompt 1: sample_sampler: there is no sampler 'oiler' here",
        ),
    ],
)
def test_what_is_wrong_in_a_toml_or_json_file_is_reported(tmp_path, name, content, reported):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(PrepError) as caught:
        asked_prompts((), tmp_path / name, "--sample-prompts")
    assert reported in caught.value.message


def test_prompts_of_an_option_come_before_those_of_a_file_and_all_problems_together(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("b\n", encoding="utf-8")
    assert asked_prompts(["a --s 3"], file, "sample_prompts") == (Prompt("a", steps=3), Prompt("b"))
    assert asked_prompts([], None, "sample_prompts") == ()
    file.write_text("b --s x\n", encoding="utf-8")
    with pytest.raises(PrepError) as caught:
        asked_prompts(["a", "c --s y"], file, "sample_prompts")
    assert [line.split(": ")[0] for line in caught.value.message.splitlines()] == [
        "sample_prompts, 2",
        f"{file}, line 1",
    ]


def test_what_a_prompt_leaves_open_is_filled_in():
    (request,), warnings = filled_in([Prompt("1girl", width=512, seed=3)], (640, 768))
    assert request == Request("1girl", 3, (512, 768), "", 30, 7.5, weighted=True) and warnings == ()
    (request,), _ = filled_in([Prompt("1girl", "own", seed=3, guidance=1)], (64, 64), 4, "bad", 12, 5)
    assert request == Request("1girl", 3, (64, 64), "own", 12, 1, weighted=True)


def test_sides_are_cut_down_to_what_the_model_takes_with_a_word():
    (request,), warnings = filled_in([Prompt("1girl", width=519, height=9)], (64, 64))
    assert request.size == (512, 8)
    assert warnings == ("prompt 1 is generated at 512×8 instead of 519×9: sides are multiples of 8",)


def test_a_seed_that_is_not_given_is_the_prompts_own_and_stays():
    prompts = [Prompt("a"), Prompt("b"), Prompt("c", seed=0)]
    first, again = filled_in(prompts, (64, 64))[0], filled_in(prompts, (64, 64))[0]
    assert first == again
    assert first[0].seed != first[1].seed and all(0 <= request.seed < 2**32 for request in first)
    assert first[2].seed == 0
    assert filled_in([Prompt("other"), prompts[1]], (64, 64))[0][1] == first[1]


def test_prompts_are_read_without_torch():
    import subprocess

    code = "import sys, train.models.text.prompts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
