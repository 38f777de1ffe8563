"""The cache of latents: found by content, checked, mended, and quick where it is full."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from platforms import needs_symlinks
from tolerance import BFLOAT16, near

from pipeline.core.errors import PrepError
from pipeline.store.values.bucket import Bucket
from train.data import latent_cache as latents_module
from train.data.color_jitter import Colour
from train.data.latent_cache import ImageView, LatentCache, pixels_of
from train.data.latent_files import file_bytes, latent_file, latent_name, lying, read_latent, trim, verify, write_latent
from train.models.load import load_base
from train.models.options import PrecisionOptions
from train.optimization.precision import vae_dtype


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", device="cpu")


def quiet(what: str, done: int, total: int) -> None:
    pass


def drawn(folder: Path, count: int, size=(32, 32)) -> list[ImageView]:
    """Images of noise, each of its own content."""
    found = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        file = folder / f"{size[0]}-{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(file)
        bucket = Bucket(size, size, (0, 0, *size))
        found.append(ImageView(f"{number} {size}", file, bucket))
    return found


def counted(cache: LatentCache, monkeypatch) -> list[int]:
    """How many images each call of the VAE encodes, from here on."""
    calls: list[int] = []
    encoded = cache._encoded
    monkeypatch.setattr(cache, "_encoded", lambda pixels: calls.append(len(pixels)) or encoded(pixels))
    return calls


def test_each_image_is_encoded_once_and_read_back(base, tmp_path, monkeypatch):
    cache, images = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 3)
    calls = counted(cache, monkeypatch)
    cache.fill([*images, *images], quiet)
    cache.fill(images, quiet)
    assert calls == [3] and cache.warnings() == ()
    latent = cache.read(images[1])
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack([pixels_of(each) for each in images])).permute(0, 3, 1, 2)
        posterior = base.vae.encode(pixels).latent_dist
    scale = base.vae.config.scaling_factor
    assert near(latent.mean, posterior.mean[1] * scale, products=64 * 9)
    assert near(latent.std, posterior.std[1] * scale, products=64 * 9)


def test_the_cache_is_found_by_content_and_never_by_name(base, tmp_path):
    cache, (one, two) = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 2)
    assert cache.name(one) != cache.name(two)
    assert cache.name(replace(one, content=two.content, file=Path("elsewhere.jpg"))) == cache.name(two)


def test_everything_that_is_shown_of_an_image_is_in_its_name(base, tmp_path):
    cache, (plain,) = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 1)
    bucket = plain.bucket
    others = [
        replace(plain, flip=True),
        replace(plain, colour=Colour(1.1)),
        replace(plain, colour=Colour(1.2)),
        replace(plain, bucket=replace(bucket, crop=(1, 0, 33, 32))),
        replace(plain, bucket=replace(bucket, scaled=(40, 40))),
        replace(plain, bucket=replace(bucket, background="#000000")),
    ]
    assert len({cache.name(each) for each in (plain, *others)}) == 7
    assert cache.name(replace(plain, bucket=replace(bucket, loss=0.3))) == cache.name(plain)


def test_another_vae_finds_no_latent_of_the_first():
    """kohya-ss/sd-scripts trains on what another VAE made, as its caches do not say which."""
    image = ImageView("a", Path("x.png"), Bucket((32, 32), (32, 32), (0, 0, 32, 32)))
    assert latent_name(image, "one") != latent_name(image, "other")


def test_a_view_is_made_of_mirrored_pixels_in_its_colours(tmp_path):
    (plain,) = drawn(tmp_path, 1)
    pixels = pixels_of(plain)
    assert pixels.shape == (32, 32, 3) and -1 <= pixels.min() < -0.9 and 0.9 < pixels.max() <= 1
    assert np.array_equal(pixels_of(replace(plain, flip=True)), pixels[:, ::-1])
    darker = pixels_of(replace(plain, colour=Colour(0.5)))
    assert near(darker, (pixels + 1) / 2 - 1, products=4)


def test_the_latent_of_a_mirrored_image_is_not_the_mirrored_latent(base, tmp_path):
    cache, (plain,) = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 1)
    mirrored = replace(plain, flip=True)
    cache.fill([plain, mirrored], quiet)
    difference = cache.read(mirrored).mean - cache.read(plain).mean.flip(-1)
    assert difference.abs().max() > 0.05


def test_a_latent_does_not_depend_on_what_else_is_missing(base, tmp_path):
    images = drawn(tmp_path, 3)
    whole, single = LatentCache(tmp_path / "whole", base), LatentCache(tmp_path / "single", base)
    whole.fill(images, quiet)
    for image in images:
        single.fill([image], quiet)
    for image in images:
        assert torch.equal(whole.read(image).mean, single.read(image).mean)
        assert torch.equal(whole.read(image).std, single.read(image).std)


def test_images_for_which_the_vae_overflows_in_half_precision_are_encoded_again(tmp_path):
    """Weights 1e5 times as large: what float16 holds of a loud image is infinite, of an even grey one it is not."""
    loud = load_base("miniature", device="cpu")
    with torch.no_grad():
        loud.vae.encoder.conv_in.weight.mul_(1e5)
    images = drawn(tmp_path, 2)
    Image.new("RGB", (32, 32), (128, 128, 128)).save(images[1].file)
    half, whole = LatentCache(tmp_path / "half", loud, torch.float16), LatentCache(tmp_path / "whole", loud)
    half.fill(images, quiet)
    whole.fill(images, quiet)
    assert half.overflowed == 1 and whole.overflowed == 0 and whole.warnings() == ()
    assert torch.equal(half.read(images[0]).mean, whole.read(images[0]).mean)
    assert not torch.equal(half.read(images[1]).mean, whole.read(images[1]).mean)
    (remark,) = half.warnings()
    assert "overflowed in float16" in remark and 'vae_precision = "fp32"' in remark


def test_latents_in_half_precision_are_close_and_are_other_files(base, tmp_path):
    half, whole = LatentCache(tmp_path, base, torch.bfloat16), LatentCache(tmp_path, base)
    (image,) = drawn(tmp_path, 1)
    half.fill([image], quiet)
    whole.fill([image], quiet)
    assert half.file(image) != whole.file(image)
    latent = whole.read(image).mean
    assert torch.allclose(half.read(image).mean, latent, atol=12 * BFLOAT16 * float(latent.abs().max())), "12 layers"


def test_the_vae_computes_in_half_precision_only_on_a_gpu_unless_reported():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    half = PrecisionOptions(mixed_precision="bf16")
    assert (vae_dtype(half, cpu), vae_dtype(half, gpu)) == (torch.float32, torch.float16)
    assert vae_dtype(PrecisionOptions(mixed_precision="no"), gpu) == torch.float32
    assert vae_dtype(PrecisionOptions(mixed_precision="fp16", vae_precision="fp32"), gpu) == torch.float32
    assert vae_dtype(PrecisionOptions(vae_precision="bf16"), cpu) == torch.bfloat16


def test_a_file_that_was_cut_short_is_made_again_when_the_cache_is_filled(base, tmp_path, monkeypatch):
    cache, images = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 3)
    cache.fill(images, quiet)
    before = cache.file(images[0]).read_bytes()
    assert len(before) == file_bytes(cache.shape(images[0]))
    cache.file(images[0]).write_bytes(before[:-10])
    again = LatentCache(tmp_path / "latents", base)
    calls = counted(again, monkeypatch)
    again.fill(images, quiet)
    assert calls == [1] and cache.file(images[0]).read_bytes() == before
    (remark,) = again.warnings()
    assert remark.startswith("cached latents that were damaged and made again: 1") and str(images[0].file) in remark


def test_a_byte_that_changed_is_noticed_at_the_first_reading_and_mended(base, tmp_path):
    images = drawn(tmp_path, 2)
    cache = LatentCache(tmp_path / "latents", base)
    cache.fill(images, quiet)
    wanted, file = cache.read(images[0]).mean, cache.file(images[0])
    held = bytearray(file.read_bytes())
    held[-1] ^= 1
    file.write_bytes(held)
    other = LatentCache(tmp_path / "latents", base, writes=False)
    other.fill(images, quiet)
    assert torch.equal(other.read(images[0]).mean, wanted) and other.repaired[0][1] == "it does not fit its checksum"
    assert bytes(held) == file.read_bytes(), "only the process that leads writes"
    again = LatentCache(tmp_path / "latents", base)
    again.fill(images, quiet)
    assert torch.equal(again.read(images[0]).mean, wanted) and len(again.warnings()) == 1
    read_latent(file)


def test_a_foreign_file_of_the_right_length_is_no_latent(base, tmp_path):
    cache, images = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 1)
    cache.fill(images, quiet)
    wanted, file = cache.read(images[0]).mean, cache.file(images[0])
    file.write_bytes(b"\x80\x04." + bytes(file.stat().st_size - 3))
    again = LatentCache(tmp_path / "latents", base)
    again.fill(images, quiet)
    assert torch.equal(again.read(images[0]).mean, wanted)


def test_a_full_cache_is_judged_without_opening_a_file(base, tmp_path, monkeypatch):
    cache, images = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 3)
    cache.fill(images, quiet)

    def opened(*_, **__):
        raise AssertionError("a file was opened")

    monkeypatch.setattr(latents_module, "read_latent", opened)
    monkeypatch.setattr(latents_module, "pixels_of", opened)
    LatentCache(tmp_path / "latents", base).fill(images, quiet)


def test_every_unreadable_image_is_named_at_once_and_the_others_are_kept(base, tmp_path):
    cache, images = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 4) + drawn(tmp_path, 2, (48, 32))
    images[1].file.write_bytes(images[1].file.read_bytes()[:200])
    images[4].file.unlink()
    with pytest.raises(PrepError) as caught:
        cache.fill(images, quiet)
    assert caught.value.message.startswith("2 images to be trained on cannot be read\n")
    assert f"{images[1].file}: truncated" in caught.value.message
    assert f"{images[4].file}: missing" in caught.value.message and "prep check" in caught.value.hint
    assert len(lying(tmp_path / "latents")) == 4


def test_latents_that_are_not_finite_are_noticed_at_once_and_never_kept(base, tmp_path, monkeypatch):
    cache, images = LatentCache(tmp_path / "latents", base), drawn(tmp_path, 2)
    encoded = cache._encoded

    def odd(pixels):
        means, stds = encoded(pixels)
        means[1, 0, 0, 0] = float("nan")
        return means, stds

    monkeypatch.setattr(cache, "_encoded", odd)
    with pytest.raises(PrepError, match="not finite") as caught:
        cache.fill(images, quiet)
    assert str(images[1].file) in caught.value.message
    assert set(lying(tmp_path / "latents")) == {cache.name(images[0])}


def test_images_go_to_the_vae_by_size_and_no_more_than_it_takes_at_once(base, tmp_path, monkeypatch):
    cache = LatentCache(tmp_path / "latents", base)
    small, wide = drawn(tmp_path, 5), drawn(tmp_path, 3, (64, 32))
    mixed = [each for pair in zip(small, [*wide, *wide], strict=False) for each in pair]
    monkeypatch.setattr(latents_module, "MOST_AT_ONCE", 3)
    calls, caption_read = counted(cache, monkeypatch), []
    cache.fill(mixed, lambda what, done, total: caption_read.append((done, total)))
    assert calls == [3, 2, 3] and caption_read == [(3, 8), (5, 8), (8, 8)]


def test_a_large_image_is_always_encoded_alone_whatever_else_is_missing(base, tmp_path, monkeypatch):
    monkeypatch.setattr(latents_module, "PIXELS_AT_ONCE", 2 * 32 * 32)
    cache = LatentCache(tmp_path / "latents", base)
    fits_twice, large = drawn(tmp_path, 3), drawn(tmp_path, 3, (64, 32))
    coded, shapes = cache._coded, []
    monkeypatch.setattr(cache, "_coded", lambda batch, dtype: shapes.append(tuple(batch.shape)) or coded(batch, dtype))
    cache.fill([*fits_twice, *large], quiet)
    assert [shape for shape in shapes if shape[-1] == 64] == [(1, 3, 32, 64)] * 3
    again = cache.encoded(large[1])
    assert torch.equal(again[0], cache.read(large[1]).mean) and torch.equal(again[1], cache.read(large[1]).std)
    assert shapes[-1] == (1, 3, 32, 64), "nor beside itself"


def test_latents_stay_in_memory_only_up_to_a_limit(base, tmp_path, monkeypatch):
    images = drawn(tmp_path, 3)
    cache = LatentCache(tmp_path / "latents", base)
    cache.fill(images, quiet)
    monkeypatch.setattr(latents_module, "HELD_BYTES", 2 * 2 * 4 * 4 * 8 * 8)
    read = [cache.read(image) for image in images]
    assert cache.read(images[0]) is read[0] and cache.read(images[1]) is read[1]
    assert cache.read(images[2]) is not read[2] and torch.equal(cache.read(images[2]).mean, read[2].mean)


# --- the files by themselves


def test_the_length_of_a_file_is_known_beforehand(tmp_path):
    for shape in ((4, 8, 8), (4, 9, 7), (4, 128, 64)):
        file = tmp_path / "x.safetensors"
        write_latent(file, np.random.rand(*shape).astype(np.float32), np.ones(shape, np.float32))
        assert file.stat().st_size == file_bytes(shape)


def test_verify_names_what_is_damaged_and_why(tmp_path):
    names = ["ab" + "0" * 62, "cd" + "1" * 62]
    for name in names:
        write_latent(latent_file(tmp_path, name), np.ones((4, 2, 2), np.float32), np.ones((4, 2, 2), np.float32))
    assert list(verify(tmp_path)) == [(names[0], ""), (names[1], "")]
    file = latent_file(tmp_path, names[1])
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    assert list(verify(tmp_path)) == [(names[0], ""), (names[1], "it does not fit its checksum")]
    file.write_bytes(b"")
    assert list(verify(tmp_path))[1][1] != ""


@needs_symlinks
def test_trim_takes_unused_latents_and_nothing_else(tmp_path):
    used, unused = "ab" + "0" * 62, "ab" + "1" * 62
    for name in (used, unused):
        write_latent(latent_file(tmp_path, name), np.ones((4, 2, 2), np.float32), np.ones((4, 2, 2), np.float32))
    others = [
        tmp_path / "warnings.txt",
        tmp_path / "ab" / "mine.safetensors",
        tmp_path / "cd" / f"{unused}.safetensors",
    ]
    for file in others:
        file.parent.mkdir(exist_ok=True)
        file.write_text("a person's")
    link = tmp_path / "ab" / ("ab" + "2" * 62 + ".safetensors")
    link.symlink_to(others[0])
    removed = trim(tmp_path, {used})
    assert (removed.files, removed.bytes) == (1, file_bytes((4, 2, 2)))
    assert lying(tmp_path).keys() == {used} and all(file.exists() for file in (*others, link))
    assert trim(tmp_path / "nowhere", set()).files == 0
