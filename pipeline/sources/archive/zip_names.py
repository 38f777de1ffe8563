"""Names in a zip that does not say how they are coded: one code page for the whole archive, chosen for all names together.

The zip format knows cp437 and UTF-8 (APPNOTE 4.4.17, D.1); programs write what their system uses. Every candidate decodes
all names, and what comes out is weighed: letters of one script that stand together speak for it; box drawings, letters of
several scripts in one word, and capitals within a word speak against it.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.core.errors import PrepError

CODE_PAGES = (
    *("utf-8", "cp437", "cp850", "cp1252", "cp852", "cp1250", "cp866", "cp1251", "cp737", "cp1253"),
    *("cp932", "gbk", "cp949", "big5"),
)
"""What is tried, in the order in which equals are preferred."""
LEAST = 0.35
"""The mean weight of a letter below which no reading is believed."""
_FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学"
    "如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外"
    "将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提"
    "立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指"
    "克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望"
    "觉术领共确传师观清今切院让识候带导争运笔图片照像画壁纸音未蓝红黄绿黑发头角脸眼服装动漫游戏初风景新文件夹资料合集原版高清漂亮少女男"
    "圖畫動漫風景髮臉資料夾檔案這個們來為國說時會對過後學現沒動還進樣從實無長機間問應戰頭體見產員論處義認條氣題變總電數報結強紅藍綠黃"
)
"""Han characters that texts and folders of images use most, simplified and traditional."""


_SYLLABLES = frozenset(
    "가각간감강개거건게결경고공과관광교구국권그근글금기길김나날남내너네노누는니다단달당대더데도독동두드든들등디또라락란람래러레려로록료루르른를리린림"
    "마만말망매머면명모목무문물미민바박반발방배백버번별보복본부분불비빈사산살상새색생서석선설성세소속손송수순스슬승시식신실심아안알애야양어언에여역연"
    "열영예오옥온완왕요용우운원월위유육윤율은을음의이인일임입자작잔장재저적전절점정제조종주죽준중지직진질집차찬참창채처천철청체초최추출충츠치친카캐커"
    "코쿠크키타태터텐토트특티파판팔패퍼페펴편평포폴표품프피하학한함합해행향허헌현혜호홍화환활황회효후훈휘휴흐희히림터릭얼굴옷눈더폴그"
)
"""Syllables that Korean names and words use most."""
_USUAL = frozenset("äöüßéèêëàâçñáíóúåøæãôîïûùąćęłńśźżčěřšžő")


class Reading(NamedTuple):
    """A code page, and how each raw name reads in it."""

    encoding: str
    names: tuple[str, ...]


def read_names(raw: Sequence[bytes], encoding: str, archive: str) -> Reading:
    """Decode the names of one archive.

    Args:
        raw: the names that the archive does not call UTF-8, as bytes.
        encoding: a code page, or auto to choose one.
    Raises:
        PrepError: the code page is not known or does not fit, or none is believed.
    """
    if encoding != "auto":
        found = _decoded(raw, _known(encoding))
        if found is None:
            raise PrepError(f"{archive}: a name is not {encoding}", "give another --zip-encoding, or auto")
        return Reading(encoding, found)
    if all(name.isascii() for name in raw):
        return Reading("ascii", tuple(name.decode("ascii") for name in raw))
    as_utf8 = _decoded(raw, "utf-8")
    if as_utf8 is not None:
        return Reading("utf-8", as_utf8)
    readings = [Reading(page, names) for page in CODE_PAGES if (names := _decoded(raw, page)) is not None]
    weighed = [(weight(reading), reading) for reading in readings]
    best = max(weighed, key=lambda each: each[0], default=(0.0, Reading("", ())))
    if best[0] < LEAST:
        examples = "; ".join(f"{reading.encoding} reads {_example(reading)}" for _, reading in _highest(weighed))
        raise PrepError(
            f"{archive} does not say how its names are coded, and it cannot be inferred{': ' if examples else ''}{examples}",
            "say it: --zip-encoding cp932, gbk, big5, cp949, cp437, cp1251 or another",
        )
    return best[1]


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise PrepError(
            f"zip_encoding is {encoding!r}, which is no code page", f"one of {', '.join(CODE_PAGES)}"
        ) from None


def _decoded(raw: Iterable[bytes], encoding: str) -> tuple[str, ...] | None:
    try:
        return tuple(name.decode(encoding) for name in raw)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _highest(weighed: Iterable[tuple[float, Reading]]) -> list[tuple[float, Reading]]:
    return sorted(weighed, key=lambda each: -each[0])[:3]


def _example(reading: Reading) -> str:
    return next((name for name in reading.names if not name.isascii()), "")[:40]


def weight(reading: Reading) -> float:
    """The mean weight of a byte beyond ASCII, at most about 1: how much the names look like names."""
    total = size = 0.0
    for part in {part for name in reading.names for part in name.split("/") if not part.isascii()}:
        for place, letter in enumerate(part):
            if not letter.isascii():
                width = len(letter.encode(reading.encoding, "replace"))
                size += width
                total += width * _letter(letter, part[place - 1] if place else "", part[place + 1 : place + 2])
    return total / size if size else 0.0


def _letter(letter: str, before: str, after: str) -> float:
    """How much a letter between its neighbours looks as if it were meant."""
    category, script = unicodedata.category(letter), _script(letter)
    if category in ("Cc", "Cn", "Co", "Cs") or letter == "\ufffd":
        return -8.0
    if not script:
        return -0.5 if category in ("Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Zs", "No", "Nl") else -3.0
    near = [_script(each) for each in (before, after) if each and each.isalpha()]
    if script in _WHOLE_WORDS:
        if any(each != script for each in near) and not _go_together(script, near):
            return -2.5
        return _wide(letter, script)
    if any(each != script for each in near):
        return -2.5
    if before.isalpha() and letter.isupper() != before.isupper() and (letter.isupper() or (after and after.isupper())):
        return -2.0
    if script == "Latin":
        if len(near) == 2 and not before.isascii() and not after.isascii():
            return -1.5  # no language writes three such letters in a row
        return (1.0 if letter.lower() in _USUAL else 0.7) if near else 0.4
    return (0.6 if letter.isupper() and before.isalpha() else 1.0) if near else 0.4


_WHOLE_WORDS = frozenset({"Han", "Hangul", "Kana", "Halfwidth"})


def _go_together(script: str, near: Sequence[str]) -> bool:
    """Whether neighbours of other scripts are usual: kanji beside kana, a latin letter before or behind a word, not both."""
    others = [each for each in near if each != script]
    if all(each in ("Han", "Kana") for each in (script, *others)):
        return True
    return others == ["Latin"] and len(near) == 2


def _wide(letter: str, script: str) -> float:
    if script == "Halfwidth":
        return -1.0
    if script == "Han":
        return 1.1 if letter in _FREQUENT else 0.7 if _is_common(letter) else 0.0
    if script == "Hangul":
        return 1.0 if letter in _SYLLABLES else 0.6 if len(_coded(letter, "euc_kr")) == 2 else -1.0
    return 1.0


def _is_common(letter: str) -> bool:
    """Whether a Han character is of the first level of GB 2312, Big5 or JIS X 0208."""
    levels = (("gb2312", 0xB0, 0xD7), ("big5", 0xA4, 0xC6), ("shift_jis", 0x88, 0x97))
    return any(low <= coded[0] <= high for page, low, high in levels if (coded := _coded(letter, page)))


def _coded(letter: str, encoding: str) -> bytes:
    try:
        return letter.encode(encoding)
    except UnicodeEncodeError:
        return b""


def _script(letter: str) -> str:
    """Latin, Cyrillic, Greek, Han, Hangul, Kana, Halfwidth (katakana), "" for anything else."""
    if not letter.isalpha():
        return ""
    if letter.isascii():
        return "Latin"
    code = ord(letter)
    if 0xFF61 <= code <= 0xFFDC:
        return "Halfwidth"
    if 0xAC00 <= code <= 0xD7A3:
        return "Hangul"
    if 0x3041 <= code <= 0x30FF:
        return "Kana"
    name = unicodedata.name(letter, "")
    for script, start in (("Latin", "LATIN"), ("Cyrillic", "CYRILLIC"), ("Greek", "GREEK"), ("Han", "CJK")):
        if name.startswith(start):
            return script
    return ""
