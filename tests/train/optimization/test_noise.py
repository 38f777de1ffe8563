import pytest
import torch
from tolerance import rounding

from train.optimization.noise import coarse_sizes, drawn_noise, multires_noise, offset_strength
from train.optimization.options import NoiseOptions

CLEAN = torch.linspace(-1, 2, 4 * 8 * 8).reshape(4, 8, 8)
KEY = ("sample", 420, 0, 3, "images/a.png")


def test_the_offset_grows_with_the_mean_of_the_channel_by_hand():
    clean = torch.tensor([[[1.0, 3.0]], [[-2.0, -4.0]]])  # means 2 and -3
    assert offset_strength(clean, 0.1, 0.0).flatten().tolist() == pytest.approx([0.1, 0.1])
    assert offset_strength(clean, 0.1, 0.01).flatten().tolist() == pytest.approx([0.12, 0.13])
    assert offset_strength(clean, 0.1, -0.04).flatten().tolist() == pytest.approx([0.02, 0.0])


def test_coarse_noise_shrinks_by_powers_of_its_ratios_and_stops_at_one_pixel():
    assert coarse_sizes(64, 48, [2.0, 2.0, 4.0]) == [(64, 48), (32, 24), (4, 3)]
    assert coarse_sizes(8, 8, [3.0, 3.0, 3.0, 3.0, 3.0]) == [(8, 8), (2, 2), (1, 1)]


def test_multires_noise_by_hand():
    noise, coarse = torch.tensor([[[1.0, 3.0]]]), [torch.zeros(1, 1, 2), torch.full((1, 1, 1), 8.0)]
    mixed = multires_noise(noise, coarse, 0.5)  # 1 + 4 and 3 + 4, divided by their standard deviation, the root of 2
    assert mixed.flatten().tolist() == pytest.approx([5 / 2**0.5, 7 / 2**0.5])


def test_plain_noise_is_what_is_mixed_in_and_what_is_to_be_predicted():
    noise, mixed = drawn_noise(CLEAN, NoiseOptions(), *KEY)
    assert noise is mixed
    assert noise.shape == CLEAN.shape


def test_an_offset_moves_a_whole_channel_and_nothing_else():
    plain, _ = drawn_noise(CLEAN, NoiseOptions(), *KEY)
    noise, _ = drawn_noise(CLEAN, NoiseOptions(noise_offset=0.1), *KEY)
    moved = noise - plain
    rounded = 2.0**-22  # half a unit in the last place of noise between 4 and 8
    assert torch.allclose(moved, moved[:, :1, :1].expand_as(moved), rtol=0, atol=2 * rounded)
    assert moved.abs().max() > 1e-3
    random, _ = drawn_noise(CLEAN, NoiseOptions(noise_offset=0.1, noise_offset_random=True), *KEY)
    shares = (random - plain)[:, 0, 0] / moved[:, 0, 0]
    assert torch.allclose(shares, shares[:1].expand_as(shares), rtol=0, atol=4 * rounded / moved.abs().min().item())
    assert 0 <= shares[0] < 1


def test_multires_noise_keeps_its_strength_and_gains_low_frequencies():
    clean = torch.zeros(4, 32, 32)
    plain, _ = drawn_noise(clean, NoiseOptions(), *KEY)
    noise, _ = drawn_noise(clean, NoiseOptions(multires_iterations=6), *KEY)
    assert noise.std().item() == pytest.approx(1.0, rel=rounding(32)), "a row at a time"

    def coarse(each: torch.Tensor) -> float:
        return torch.nn.functional.avg_pool2d(each, 8).std().item()

    assert coarse(noise) > 1.2 * coarse(plain)


def test_a_perturbation_is_mixed_in_and_not_predicted():
    plain, _ = drawn_noise(CLEAN, NoiseOptions(), *KEY)
    noise, mixed = drawn_noise(CLEAN, NoiseOptions(ip_noise_gamma=0.1), *KEY)
    assert torch.equal(noise, plain)
    share = (2 * mixed.numel()) ** -0.5  # the standard deviation of a standard deviation of so many draws
    assert (mixed - noise).std().item() == pytest.approx(0.1, rel=4 * share)


@pytest.mark.parametrize(
    "options",
    [
        {"noise_offset": 0.1, "noise_offset_random": True, "adaptive_noise_scale": 0.01, "ip_noise_gamma": 0.1},
        {"multires_iterations": 6, "ip_noise_gamma": 0.1},
    ],
)
def test_all_draws_follow_from_the_key_alone_whatever_torch_drew_before(options):
    recipe = NoiseOptions(**options)
    torch.manual_seed(1)
    first = drawn_noise(CLEAN, recipe, *KEY)
    torch.manual_seed(2)
    assert all(torch.equal(one, again) for one, again in zip(first, drawn_noise(CLEAN, recipe, *KEY), strict=True))
    assert not torch.equal(first[0], drawn_noise(CLEAN, recipe, "sample", 420, 0, 4, "images/a.png")[0])
