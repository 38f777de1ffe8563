"""Headers of tar files: what is longer than memory allows is refused, and a damaged one is no end."""

import gzip
import io
import tarfile

import pytest
from archive_files import png, tarred

from pipeline.core.errors import PrepError
from pipeline.sources.archive.archives import entries, is_archive
from pipeline.sources.archive.tar_headers import LONGEST_HEADER, BoundedTarInfo
from pipeline.store.wording import figures, phrase

KINDS = [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]


def reasons(archive, cache):
    return {
        found.path.removeprefix(f"{archive}!/"): ": ".join((phrase(found.problem), figures(found.problem)))
        if found.problem
        else ""
        for found in entries(archive, cache)
    }


def header(kind, size):
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_longer_than_memory_allows_is_refused_before_it_is_read(kind, tmp_path):
    archive = tmp_path / "p.tar.gz"
    sound = io.BytesIO()
    with tarfile.open(fileobj=sound, mode="w") as written:
        info = tarfile.TarInfo("a.png")
        info.size = len(png())
        written.addfile(info, io.BytesIO(png()))
    before = sound.getvalue()[: -(-(512 + len(png())) // 512) * 512]
    archive.write_bytes(gzip.compress(before + header(kind, 700 * 2**20)))
    found = reasons(archive, tmp_path / "cache")
    assert found.pop("a.png") == "" and len(found) == 1
    assert "a header states 700 MiB of names" in found.popitem()[1]
    archive.write_bytes(gzip.compress(header(kind, 700 * 2**20)))
    with pytest.raises(PrepError, match=r"p\.tar\.gz cannot be opened: a header states 700 MiB of names"):
        list(entries(archive, tmp_path / "cache"))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read(form, tmp_path):
    name = f"{'a' * 90}/{'b' * 90}/{'長' * 60}.png"
    with tarfile.open(tmp_path / "p.tar", "w", format=form) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(png())
        archive.addfile(info, io.BytesIO(png()))
    assert reasons(tmp_path / "p.tar", tmp_path / "cache") == {name: ""}


def test_the_bound_is_exact():
    assert BoundedTarInfo.frombuf(header(tarfile.XHDTYPE, LONGEST_HEADER), "utf-8", "strict").size == LONGEST_HEADER
    with pytest.raises(tarfile.ReadError):
        BoundedTarInfo.frombuf(header(tarfile.XHDTYPE, LONGEST_HEADER + 1), "utf-8", "strict")
    assert BoundedTarInfo.frombuf(header(tarfile.REGTYPE, 2**30), "utf-8", "strict").size == 2**30, (
        "an image may be large"
    )


@pytest.mark.parametrize("pack", ["w", "w:gz"])
def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(pack, tmp_path):
    archive = tarred(tmp_path / "p.tar", [("a.png", png(1)), ("b.png", png(2)), ("c.png", png(3))])
    data = bytearray(archive.read_bytes())
    second = 512 + -(-len(png(1)) // 512) * 512
    data[second + 10] ^= 0xFF
    archive.write_bytes(gzip.compress(data) if pack == "w:gz" else data)
    found = reasons(archive, tmp_path / "cache")
    assert found.pop("a.png") == "" and len(found) == 1
    assert "not read to its end: it is damaged: a header is damaged" in found.popitem()[1]


def test_what_is_an_archive_is_seen_by_its_first_block_only(tmp_path):
    archive = tarred(tmp_path / "p.tar", [("a.png", png(1))])
    assert is_archive(archive)
    for name, content in (("short", b"abc"), ("none", b""), ("text", b"a" * 2048), ("cut", archive.read_bytes()[:300])):
        (tmp_path / name).write_bytes(content)
        assert not is_archive(tmp_path / name), name
