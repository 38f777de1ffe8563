"""Adapters that a prompt names, as A1111 and sd-webui-lora-block-weight write them."""

import pytest

from pipeline.core.errors import PrepError
from train.adapters.names.block_weights import block_weights
from train.adapters.names.prompt_adapters import PromptAdapter, without_adapters


@pytest.mark.parametrize(
    ("prompt", "text", "adapters"),
    [
        ("1girl, <lora:lumi:0.8>, smile", "1girl, smile", [PromptAdapter("lumi", 0.8, 0.8)]),
        ("<lora:lumi:0.8:0.4> 1girl", "1girl", [PromptAdapter("lumi", 0.8, 0.4)]),
        ("1girl <lyco:a b:unet=0.5:te=0>", "1girl", [PromptAdapter("a b", 0, 0.5)]),
        ("1girl <lora:x:0.8:unet=-0.5>", "1girl", [PromptAdapter("x", 0.8, -0.5)]),
        ("1girl <lora:x:1:lbw=OUTD>", "1girl", [PromptAdapter("x", 1, 1, block_weights("OUTD"))]),
        ("<lora:a:1><lora:b:0.5>(1girl:1.2)", "(1girl:1.2)", [PromptAdapter("a"), PromptAdapter("b", 0.5, 0.5)]),
        ("1girl, a < b > c", "1girl, a < b > c", []),
    ],
)  # fmt: skip
def test_they_are_taken_out_of_the_text(prompt, text, adapters):
    assert without_adapters(prompt) == (text, tuple(adapters))


@pytest.mark.parametrize(
    ("prompt", "reported"),
    [
        ("<hypernet:x:1>", "hypernet is no network"),
        ("<lora::1>", "names no adapter"),
        ("<lora:x:strong>", "'strong' is no strength"),
        ("<lora:x:nan>", "'nan' is no strength"),
        ("<lora:x:1:start=3>", "acts at all steps"),
        ("<lora:x:1:1:4>", "'4' is not understood"),
        ("<lora:x:1:te=0>", "te is given twice"),
        ("<lora:x:1:lbw=OUTTD>", "no block weights called 'OUTTD'"),
    ],
)
def test_what_is_not_understood_is_an_error(prompt, reported):
    with pytest.raises(PrepError) as caught:
        without_adapters(prompt)
    assert reported in f"{caught.value.message} {caught.value.hint}"
