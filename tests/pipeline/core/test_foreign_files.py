"""Files and paths that a person names may be anything: devices, users that do not exist, numbers that mean nothing."""

import os
from pathlib import Path

import pytest

from pipeline.config.settings import load_settings
from pipeline.config.values import LARGEST_INT, convert
from pipeline.core.errors import PrepError
from pipeline.core.files import expanded, read_limited
from pipeline.stages import bucket
from pipeline.tags.vocabulary.rules_file import read_rules
from taggers.errors import TaggerError
from taggers.registry import find_spec
from train.models.locate import find_folder, find_vae
from train.models.text.prompts import asked_prompts

ENDLESS = Path("/dev/zero")
needs_devices = pytest.mark.skipif(not ENDLESS.exists(), reason="there is no device without an end")


@needs_devices
def test_a_device_without_an_end_is_refused_wherever_a_file_is_named():
    with pytest.raises(OSError, match="not a regular file"):
        read_limited(ENDLESS, 10)
    for read in (read_rules, load_settings, lambda file: asked_prompts((), file, "prompts")):
        with pytest.raises(PrepError, match="not a regular file"):
            read(ENDLESS)


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)
    assert read_limited(tmp_path / "a", 11) == b"x" * 11
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_limited(tmp_path / "a", 10)


def test_the_home_of_nobody_is_a_path_that_is_not_there():
    assert expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    assert expanded("~") == Path(os.path.expanduser("~"))  # noqa: PTH111  # what is tested is that it is the same
    with pytest.raises(TaggerError, match="no tagger called"):
        find_spec("~nobody-of-that-name/x")
    for find in (lambda: find_folder("~nobody-of-that-name/x/y", None), lambda: find_vae("~nobody-of-that-name/x/y")):
        with pytest.raises(PrepError):
            find()


def test_numbers_that_nothing_can_hold_are_refused():
    with pytest.raises(ValueError, match="of at most"):
        convert(LARGEST_INT + 1, int)
    assert convert(LARGEST_INT, int) == LARGEST_INT
    with pytest.raises(PrepError, match="resolution is 1000000"):
        bucket.Options(resolution=1_000_000)
