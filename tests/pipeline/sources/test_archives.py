import gzip
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from archive_files import png, tarred, zipped
from decided import said
from hypothesis import given
from hypothesis import strategies as st
from painted_sets import flatten_options, painted, run_flatten, save

from pipeline.core.errors import PrepError
from pipeline.sources.archive import unpacking
from pipeline.sources.archive.archives import entries
from pipeline.sources.archive.entry_names import checked
from pipeline.stages import flatten
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.wording import phrase


def listed(archive, cache, **options):
    return {found.path.removeprefix(f"{archive}!/"): found for found in entries(archive, cache, **options)}


def problems(archive, cache):
    return {name: said(found.problem) for name, found in listed(archive, cache).items() if said(found.problem)}


@pytest.mark.parametrize("pack", [zipped, tarred, lambda path, files: tarred(path, files, "w:gz")])
def test_an_archive_is_read_like_a_folder(tmp_path, pack):
    archive = pack(
        tmp_path / "pictures.zip",
        [
            ("./loose.png", png(1)),
            ("characters/Lumi/a.png", png(2)),
            ("characters/Lumi/a.txt", b"lumi"),
            ("noname", png(3)),
            ("x.bin", b"1"),
        ],
    )
    found = listed(archive, tmp_path / "cache")
    assert {name: (each.concept, each.kind, said(each.problem)) for name, each in found.items()} == {
        "loose.png": ("pictures", "image", ""),
        "characters/Lumi/a.png": ("characters/Lumi", "image", ""),
        "characters/Lumi/a.txt": ("characters/Lumi", "caption", ""),
        "noname": ("pictures", "image", ""),
        "x.bin": ("pictures", "", "not an image"),
    }
    assert Path(found["characters/Lumi/a.png"].place).read_bytes() == png(2)
    assert found["noname"].extension == ".png" and found["loose.png"].bytes == len(png(1))


def test_an_archive_becomes_a_set_and_its_entries_are_named_by_archive_and_entry(tmp_path):
    archive = zipped(tmp_path / "p.zip", [("24_Lumi/a.png", png(1)), ("24_Lumi/a.txt", b"lumi"), ("x/y/a.png", png(2))])
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, archive)
    assert {image.source: (image.path, image.concept) for image in manifest.images()} == {
        f"{archive}!/24_Lumi/a.png": ("images/Lumi/a.png", "Lumi"),
        f"{archive}!/x/y/a.png": ("images/x~y/a.png", "x/y"),
    }
    assert manifest.manual_captions() == {"images/Lumi/a.png": "lumi"}
    assert manifest.decisions("user_repeats")["images/Lumi/a.png"].value == 24.0
    assert run_flatten(manifest, archive).fresh


def test_an_archive_that_changed_is_read_again_and_a_deleted_cache_is_no_loss(tmp_path):
    archive = zipped(tmp_path / "p.zip", [("a.png", png(1)), ("b.png", png(2))])
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, archive)
    cache = tmp_path / "set/cache/archives"
    assert len(list(cache.iterdir())) == 1
    for path in sorted(cache.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert run_flatten(manifest, archive).fresh
    (tmp_path / "set/images/p/a.png").unlink()
    assert not run_flatten(manifest, archive).fresh
    assert (tmp_path / "set/images/p/a.png").read_bytes() == png(1)
    zipped(archive, [("a.png", png(3)), ("c.png", png(2))])
    run_flatten(manifest, archive)
    assert (tmp_path / "set/images/p/a.png").read_bytes() == png(3) and len(list(cache.iterdir())) == 1
    rows = {path.rpartition("!/")[2]: (row.value, phrase(row)) for path, row in manifest.decisions("imported").items()}
    assert rows == {
        "a.png": ("images/p/a.png", "imported"),
        "b.png": (None, "moved"),
        "c.png": ("images/p/b.png", "imported"),
    }


def test_an_image_edited_in_the_set_stays_edited_although_the_cache_shares_its_bytes(tmp_path):
    archive = zipped(tmp_path / "p.zip", [("a.png", png(1))])
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, archive, link="hardlink")
    with (tmp_path / "set/images/p/a.png").open("ab") as stream:
        stream.write(b"edited in place")
    run_flatten(manifest, archive, link="hardlink")
    assert [phrase(row) for row in manifest.decisions("imported").values()] == ["edited in the set"]
    assert (tmp_path / "set/images/p/a.png").read_bytes().endswith(b"edited in place")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../out.png", "entry's name leads out of the archive"),
        ("a/../../out.png", "entry's name leads out of the archive"),
        ("/etc/out.png", "entry's name leads out of the archive"),
        ("C:/out.png", "entry's name leads out of the archive"),
        (r"a\out.png", "entry's name holds a backslash"),
        (".hidden.png", "hidden"),
        ("__MACOSX/a.png", "hidden"),
        ("deep/inner.zip", "archive; name it as a source to use it"),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_entry_with_a_name_that_cannot_be_used_is_a_row_and_nothing_is_written(tmp_path, pack, name, problem):
    archive = pack(tmp_path / "p.zip", [(name, png()), ("good.png", png())])
    before = set(tmp_path.iterdir())
    assert problems(archive, tmp_path / "in/cache") == {name: problem}
    assert set(tmp_path.iterdir()) - before == {tmp_path / "in"}
    assert all(path.name == "index.json" or path.stem.isdigit() for path in (tmp_path / "in").rglob("*.*"))


def test_links_and_devices_are_rows(tmp_path):
    link, device, hard = tarfile.TarInfo("link.png"), tarfile.TarInfo("device.png"), tarfile.TarInfo("hard.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "/etc/passwd"
    device.type = tarfile.CHRTYPE
    archive = tarred(tmp_path / "p.tar", [(link, b""), (device, b""), (hard, b""), ("good.png", png())])
    reason = "link or device in an archive"
    assert problems(archive, tmp_path / "cache") == dict.fromkeys(("link.png", "device.png", "hard.png"), reason)
    info = zipfile.ZipInfo("link.png")
    info.external_attr = 0o120777 << 16
    assert problems(zipped(tmp_path / "p.zip", [(info, b"/etc/passwd")]), tmp_path / "cache") == {"link.png": reason}


def test_a_name_that_comes_twice_is_kept_once_and_reported(tmp_path):
    archive = tarred(tmp_path / "p.tar", [("a.png", png(1)), ("./a.png", png(2))])
    found = listed(archive, tmp_path / "cache")
    assert {name: said(each.problem) for name, each in found.items()} == {
        "a.png": "",
        "a.png (entry 2)": "another entry of the archive has this name",
    }
    assert Path(found["a.png"].place).read_bytes() == png(1)


def test_an_encrypted_and_a_damaged_entry_are_rows_and_the_others_come(tmp_path):
    archive = zipped(tmp_path / "p.zip", [("a.png", png(1)), ("b.png", png(2)), ("c.png", png(3))])
    data = bytearray(archive.read_bytes())
    data[data.find(png(2)) + 60] ^= 0xFF
    for head in (b"PK\x03\x04", b"PK\x01\x02"):
        place = [at for at in range(len(data)) if data[at : at + 4] == head][2]
        data[place + (6 if head[2] == 3 else 8)] |= 1
    archive.write_bytes(data)
    found = problems(archive, tmp_path / "cache")
    assert set(found) == {"b.png", "c.png"} and found["c.png"] == "encrypted entry"
    assert found["b.png"].startswith("damaged entry: Bad CRC-32")


def test_an_archive_that_breaks_off_gives_what_came_before_and_one_that_is_none_is_an_error(tmp_path):
    archive = tarred(tmp_path / "p.tar", [("a.png", png(1)), ("b.png", png(2))])
    archive.write_bytes(archive.read_bytes()[: 512 + -(-len(png(1)) // 512) * 512 + 512 + 100])
    found = listed(archive, tmp_path / "cache")
    assert said(found["a.png"].problem) == "" and said(found["b.png"].problem).startswith("damaged entry: ")
    assert said(found[str(archive)].problem).startswith("archive not read to its end: it is damaged")
    cut = zipped(tmp_path / "cut.zip", [("a.png", png(1))])
    cut.write_bytes(cut.read_bytes()[:-30])
    with pytest.raises(PrepError, match=r"cut.zip cannot be opened: ") as caught:
        list(entries(cut, tmp_path / "cache"))
    assert caught.value.hint == "fetch or pack it again; .zip, .tar and .tar.gz are read"


def test_bytes_are_counted_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "ENTRY_BYTES", 5 * 2**20)
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(2**23))
        archive.writestr("good.png", png())
    assert problems(tmp_path / "p.zip", tmp_path / "cache") == {
        "bomb.png": "entry unpacks to too much: more than 5 MiB"
    }


def test_an_archive_that_unpacks_to_too_much_is_left_where_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "WHOLE_BYTES", 2 * 2**20)
    monkeypatch.setattr(unpacking, "WHOLE_RATIO", 1)
    files = [("good.png", png()), ("skipped.zip", bytes(2**24)), ("late.png", png())]
    archive = tarred(tmp_path / "p.tar.gz", files, "w:gz")
    found = listed(archive, tmp_path / "cache")
    assert said(found["good.png"].problem) == "" and "late.png" not in found
    assert said(found[str(archive)].problem) == "archive not read to its end: it unpacks to more than 2 MiB"
    manifest = Manifest.open(tmp_path / "set", create=True)
    assert "archives that could be read only in part: 1" in run_flatten(manifest, archive).plan.warnings


def unmarked(archive, names, encoding, flag=False):
    """A zip whose names are bytes of an encoding, called UTF-8 or not."""
    with zipfile.ZipFile(archive, "w") as packed:
        for number, _ in enumerate(names):
            packed.writestr(f"{number:02d}" * 30, png(number))
    data = archive.read_bytes()
    for number, name in enumerate(names):
        raw = name.encode(encoding) if isinstance(name, str) else name
        old = f"{number:02d}".encode() * 30
        data = data.replace(old, b"./" * ((60 - len(raw)) // 2) + b"/" * (len(raw) % 2) + raw)
    if flag:
        place = data.find(b"PK\x01\x02")
        while place >= 0:
            data = data[: place + 9] + b"\x08" + data[place + 10 :]
            place = data.find(b"PK\x01\x02", place + 4)
        place = data.find(b"PK\x03\x04")
        while place >= 0:
            data = data[: place + 7] + b"\x08" + data[place + 8 :]
            place = data.find(b"PK\x03\x04", place + 4)
    archive.write_bytes(data)
    return archive


CODED = {
    "utf-8": ["猫.png", "Björn/a.png"],
    "cp437": ["Schönheit/a.png", "Björn/x.png", "Über/z.png", "Señora/u.png", "Zoë/w.png"],
    "cp850": ["Élodie/été.png", "Føroyar/b.png", "São Paulo/c.png"],
    "cp1252": ["Mädchen/a.png", "Übergrößen/b.png", "garçon/c.png"],
    "cp852": ["żółw/a.png", "Łódź/b.png", "děvče/c.png"],
    "cp866": ["Девушки/аниме.png", "Новая папка/b.png"],
    "cp1251": ["Девушки/аниме.png", "Новая папка/b.png"],
    "cp932": ["初音ミク/画像.png", "東方/ねこ.png", "綾波レイ/a.png"],
    "gbk": ["初音未来/图1.png", "蓝色头发/图2.png", "新建文件夹/a.png"],
    "cp949": ["하츠네/그림1.png", "김민지/a.png", "새 폴더/b.png"],
    "big5": ["初音未來/a.png", "新資料夾/b.png", "圖片/c.png"],
}


@pytest.mark.parametrize("encoding", CODED)
def test_names_of_a_zip_that_are_not_marked_as_utf8_are_read_in_one_code_page(tmp_path, encoding):
    archive = unmarked(tmp_path / "p.zip", CODED[encoding], encoding)
    found = listed(archive, tmp_path / "cache")
    assert set(CODED[encoding]) <= set(found)
    (told,) = [each for each in entries(archive, tmp_path / "cache") if each.path == str(archive)]
    assert told.problem.reason == P.ARCHIVE_NAMES and told.problem.data["encoding"] in (encoding, "cp437")
    again = {each.path for each in entries(archive, tmp_path / "cache2", zip_encoding=encoding)}
    assert {f"{archive}!/{name}" for name in CODED[encoding]} <= again


def test_names_that_no_code_page_explains_are_asked_for(tmp_path):
    archive = unmarked(tmp_path / "p.zip", [b"\xff\xfe\x81\xff.png"], "")
    with pytest.raises(PrepError, match="does not say how its names are coded") as caught:
        list(entries(archive, tmp_path / "cache"))
    assert "--zip-encoding" in caught.value.hint
    with pytest.raises(PrepError, match="'nonsense', which is no code page"):
        list(entries(archive, tmp_path / "cache", zip_encoding="nonsense"))
    with pytest.raises(PrepError, match="a name is not ascii"):
        list(entries(archive, tmp_path / "cache", zip_encoding="ascii"))
    assert listed(archive, tmp_path / "cache", zip_encoding="latin-1")


def test_names_that_are_called_utf8_and_are_not_are_mended_or_refused_one_by_one(tmp_path):
    archive = unmarked(tmp_path / "p.zip", [name.encode("gbk") for name in CODED["gbk"]], "", flag=True)
    assert set(CODED["gbk"]) <= set(listed(archive, tmp_path / "cache"))
    archive = unmarked(tmp_path / "q.zip", [b"\xff\xfe\x81\xff.png", b"good.png"], "", flag=True)
    reasons = {
        each.path.rpartition("/")[2]: each.problem and each.problem.reason for each in entries(archive, tmp_path / "c")
    }
    assert reasons.pop("good.png") is None and set(reasons.values()) == {P.NAME_NOT_UTF8}


def test_unpacking_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "p.zip", [(f"{number}.png", png(number)) for number in range(4)])
    real, done = unpacking.replacing, []

    def killed(target):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(target)
        return real(target)

    monkeypatch.setattr(unpacking, "replacing", killed)
    with pytest.raises(KeyboardInterrupt):
        list(entries(archive, tmp_path / "cache"))
    monkeypatch.setattr(unpacking, "replacing", lambda target: (done.append(target), real(target))[1])
    assert not problems(archive, tmp_path / "cache") and len(done) == len(set(done)) == 4
    list(entries(archive, tmp_path / "cache"))
    assert len(done) == 4


def test_shards_of_webdataset_bring_caption_concept_and_repeats(tmp_path):
    facts = {"caption": "lumi, smile", "concept": "characters/fanart/Lumi", "repeats": 2.5}
    shard = tarred(
        tmp_path / "000000.tar",
        [("k1.png", png(1)), ("k1.json", json.dumps(facts).encode()), ("k2.png", png(2)), ("k2.txt", b"quill")],
    )
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, shard)
    path = "images/characters~fanart~Lumi/k1.png"
    assert {image.path: image.concept for image in manifest.images()} == {
        path: "characters/fanart/Lumi",
        "images/000000/k2.png": "000000",
    }
    assert manifest.manual_captions() == {path: "lumi, smile", "images/000000/k2.png": "quill"}
    given = manifest.decisions("user_repeats")[path]
    assert (given.value, phrase(given)) == (2.5, "repeats in metadata")


def test_an_archive_inside_a_folder_is_a_row_unless_it_is_a_source_too(tmp_path):
    save(painted(1), tmp_path / "src/x/a.png")
    archive = zipped(tmp_path / "src/p.zip", [("b.png", png(2))])
    manifest = Manifest.open(tmp_path / "set", create=True)
    warnings = run_flatten(manifest, tmp_path / "src").plan.warnings
    assert phrase(manifest.decisions("imported")[str(archive)]) == "archive; name it as a source to use it"
    assert "archives in the sources, not opened; name them as sources too: 1" in warnings
    run_flatten(manifest, tmp_path / "src", archive)
    assert phrase(manifest.decisions("imported")[str(archive)]) == "archive, a source of its own"
    assert len(manifest.images()) == 2


def test_the_plan_of_an_archive_is_the_same_every_time(tmp_path):
    archive = tarred(tmp_path / "p.tgz", [("a/1.png", png(1)), ("a/1.json", b'{"tags": "1girl solo"}')], "w:gz")
    plans = []
    for name in ("one", "two"):
        plan = flatten.plan(Manifest.open(tmp_path / name, create=True), flatten_options(archive))
        plans.append((plan.decisions, plan.images))
    assert plans[0] == plans[1]


def test_a_gzip_that_is_no_tar_is_an_error(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(b"just text" * 100))
    with pytest.raises(PrepError, match=r"x.tar.gz cannot be opened"):
        list(entries(tmp_path / "x.tar.gz", tmp_path / "cache"))


@given(st.text(st.sampled_from("ab./\\:C~\0é\udce9"), max_size=12))
def test_no_name_of_an_entry_leads_anywhere(name):
    plain, *_, problem = checked(name)
    assert plain and plain.encode()
    if not problem:
        assert not plain.startswith("/") and "\\" not in plain and "\0" not in plain
        assert not {"", ".", ".."} & set(plain.split("/")) and plain[1:2] != ":"
