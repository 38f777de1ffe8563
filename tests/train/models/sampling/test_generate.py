"""Requests made into images: batched, each with its own noise, texts, steps and guidance, and decoded."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from pipeline.core.errors import PrepError
from train.models.load import load_base
from train.models.sampling import generate as generation
from train.models.sampling.ddim import sample_latents
from train.models.sampling.generate import Request, Sampling, decode, generate, sized
from train.models.sampling.seeded_noise import seeded_noise
from train.models.text.conditioning import Conditioning
from train.models.text.text_encoding import text_conditioning


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", None, "cpu")


def latents_of(base, requests, monkeypatch, **options):
    """Every request's latents, as they come to the decoder."""
    found, images = [], []

    def keep(_, latents):
        found.extend(latents)
        return [Image.new("RGB", (8, 8), (number, 0, 0)) for number in range(len(latents))]

    monkeypatch.setattr(generation, "decode", keep)
    batch_size = options.pop("batch_size", 8)
    generate(base, requests, Sampling(**options), batch_size, lambda index, _: images.append(index))
    return dict(zip(images, found, strict=True))


LONG = ", ".join(["1girl, long hair, blue eyes, red dress, smile, boots, black footwear"] * 9)
MIXED = [
    Request("1girl", 1, (32, 32)),
    Request("2girls", 2, (24, 40), steps=3),
    Request("1girl, hat", 3, (32, 32), negative="hat", guidance=3.0),
    Request("smile", 4, (32, 32), guidance=1.0),
    Request(LONG, 5, (32, 32)),
    Request("1girl, boots", 6, (32, 32), negative=LONG),
    Request("blue eyes", 7, (32, 32)),
]


@pytest.fixture(scope="module")
def exact():
    """The miniature in float64, so that what is left between two ways to the same image is no longer seen as rounding."""
    base = load_base("miniature", None, "cpu")
    for model in (base.unet, *base.text_encoders):
        model.double()
    return base


def exact_latents(exact, requests, monkeypatch, **options):
    monkeypatch.setattr(generation, "seeded_noise", lambda *key: seeded_noise(*key).double())
    return latents_of(exact, requests, monkeypatch, **{"steps": 8, "guidance": 2.0, "max_tokens": 225} | options)


ROUNDING = 2.0**-30
"""How far the latents of one image may lie apart that comes alone and in company, in float64.

A processor sums the products of a batch of 8 in another order than those of a batch of 2, so that one prediction differs
by up to about 2^5 units in the last place. Eight guided steps from the latest timestep, where the clean image is taken for
1 / sqrt(alphas_cumprod) = 9 times what is seen, make up to 2^13 times as much of it where the UNet is at its steepest
(7e-4 with float32's 2^-24, as measured on AVX2; in float32 that would hide small mix-ups). With float64's 2^-53 this is
2^-35; 2^-30 leaves room for other processors.
"""


def test_an_image_is_the_same_whatever_its_company(exact, monkeypatch):
    together = exact_latents(exact, MIXED, monkeypatch)
    assert sorted(together) == list(range(len(MIXED)))
    for index, request in enumerate(MIXED):
        alone = exact_latents(exact, [request], monkeypatch, batch_size=1)[0]
        assert (together[index] - alone).abs().max() < ROUNDING, index


def test_anothers_noise_text_or_negative_would_be_seen(exact, monkeypatch):
    request = Request("1girl, hat", 1, (32, 32), negative="boots")
    others = [replace(request, seed=2), replace(request, prompt="1girl, boots"), replace(request, negative="hat")]
    own, *rest = exact_latents(exact, [request, *others], monkeypatch).values()
    assert all((own - other).abs().max() > 1000 * ROUNDING for other in rest)


def test_a_requests_own_steps_and_guidance_go_before_those_of_all(base, monkeypatch):
    own = latents_of(base, [Request("1girl", 1, (64, 64), steps=3, guidance=2.0)], monkeypatch, steps=9, guidance=9.0)
    all_alike = latents_of(base, [Request("1girl", 1, (64, 64))], monkeypatch, steps=3, guidance=2.0)
    others = latents_of(base, [Request("1girl", 1, (64, 64))], monkeypatch, steps=3, guidance=9.0)
    assert torch.equal(own[0], all_alike[0])
    assert not torch.allclose(own[0], others[0], atol=1e-3)


def test_without_guidance_the_unet_sees_half_and_the_result_is_that_of_the_formula(exact, monkeypatch):
    seen = []
    honest = type(exact).predict

    def counted(self, noisy, times, conditioning):
        seen.append(len(noisy))
        return honest(self, noisy, times, conditioning)

    monkeypatch.setattr(type(exact), "predict", counted)
    requests = [Request("1girl", seed, (64, 64), negative="hat") for seed in (1, 2)]
    plain = exact_latents(exact, requests, monkeypatch, steps=3, guidance=1.0)
    assert seen == [2, 2, 2]
    noise = torch.stack([seeded_noise((4, 16, 16), seed).double() for seed in (1, 2)])
    both = text_conditioning(exact, ["1girl", "1girl", "hat", "hat"])
    toward, away = both[:2], both[2:]
    guided = sample_latents(exact, noise, toward, away, 3, 1.0)
    assert seen[3:] == [4, 4, 4]
    assert (torch.stack([plain[0], plain[1]]) - guided).abs().max() < ROUNDING


def test_sdxl_is_reported_that_a_painted_image_is_whole():
    read = Conditioning(torch.zeros(2, 77, 4), torch.zeros(2, 3))
    assert sized(read, (832, 1216)).sizes.tolist() == [[1216, 832, 0, 0, 1216, 832]] * 2
    plain = Conditioning(torch.zeros(2, 77, 4))
    assert sized(plain, (64, 64)) is plain


def test_latents_that_are_not_finite_are_an_error_and_no_black_image(base):
    with pytest.raises(PrepError, match="not finite"):
        decode(base, torch.full((1, 4, 16, 16), float("nan")))


def test_images_are_decoded_in_full_precision_and_a_few_at_a_time(base, monkeypatch):
    latents = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = [image.tobytes() for image in decode(base, latents)]
    monkeypatch.setattr(generation, "DECODED", 1)
    with torch.autocast("cpu", torch.bfloat16):
        singly = [image.tobytes() for image in decode(base, latents)]
    assert sum(a != b for one, other in zip(plain, singly, strict=True) for a, b in zip(one, other, strict=True)) < 20
