"""How much of a JPEG's pixels its data no longer holds: the entropy-coded scans are walked, not decoded to colours.

A decoder puts something in the place of what is missing or broken, and says at most that something was wrong, not how much.
Here every symbol of a sequential Huffman scan is read (ITU-T T.81, F.2), so that the first impossible one is found: behind it
all is lost up to the next restart marker, where there are such. Garbage may be read as symbols for a few blocks before it is
impossible, so the share is a lower bound by that much.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

END = b"\xff\xd9"
"""The end-of-image marker."""
_SEQUENTIAL = (0xC0, 0xC1)
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_RESTARTS = range(0xD0, 0xD8)
_ALONE = frozenset({0x01, *_RESTARTS, 0xD8})
"""Markers without a length behind them."""
Tables = tuple[list[int], list[int]]
"""Of one block of a unit: its DC and its AC Huffman table."""
ASTRAY = 8.0
"""How many times more than usual a line of units differs from the one above where the data goes astray."""
FEW = 0.05
"""Share of the units missing at the end below which the data is taken to go astray before, as what breaks off lacks more."""
LOOK = 16
"""The longest Huffman code."""


@dataclass(slots=True)
class _Component:
    across: int
    down: int


@dataclass(slots=True)
class _Frame:
    kind: int = 0
    width: int = 0
    height: int = 0
    restart: int = 0
    components: dict[int, _Component] = field(default_factory=dict)
    tables: dict[int, list[int]] = field(default_factory=dict)
    """Class and number of a Huffman table → its 65,536 entries, each of length and symbol, 0 for no code."""
    lost: dict[int, float] = field(default_factory=dict)
    """Component → the share of its blocks that no scan holds."""
    finest: dict[tuple[int, int], int] = field(default_factory=dict)
    """Component and coefficient → the lowest bit that a progressive scan brought."""


def lost_share(data: bytes) -> float | None:
    """The share of the pixels that is lost, 0..1; None where the file is no Huffman-coded JPEG that can be judged.

    A progressive file of which scans are missing or break off has lost detail everywhere and counts as wholly lost.
    """
    frame = _Frame()
    place = 2
    try:
        while (marker := _marker_at(data, place)) is not None:
            kind, place = marker
            if kind == END[1]:
                break
            if kind in _ALONE:
                continue
            length = int.from_bytes(data[place : place + 2], "big")
            body = data[place + 2 : place + length]
            place += length
            if kind == 0xDA:
                place = _scan(frame, body, data, place)
            else:
                _segment(frame, kind, body)
    except (IndexError, KeyError, ValueError, ZeroDivisionError):
        return 1.0 if frame.kind in _FRAMES else None
    return _judged(frame)


def _judged(frame: _Frame) -> float | None:
    if frame.kind not in (*_SEQUENTIAL, 0xC2) or not frame.components:
        return None
    if frame.kind == 0xC2:
        wanted = ((number, place) for number in frame.components for place in range(64))
        whole = not any(frame.lost.values()) and all(frame.finest.get(each, 1) == 0 for each in wanted)
        return 0.0 if whole else 1.0
    return max(frame.lost.get(number, 1.0) for number in frame.components)


def _marker_at(data: bytes, place: int) -> tuple[int, int] | None:
    """The next marker and the place behind it, None at the end of the data; fill bytes are passed over."""
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        if data[place + 1] not in (0x00, 0xFF):
            return data[place + 1], place + 2
        place += 1
    return None


def _segment(frame: _Frame, kind: int, body: bytes) -> None:
    if kind in _FRAMES:
        frame.kind = kind
        frame.height, frame.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        for place in range(6, 6 + 3 * body[5], 3):
            frame.components[body[place]] = _Component(body[place + 1] >> 4, body[place + 1] & 15)
    elif kind == 0xC4:
        _huffman_tables(frame, body)
    elif kind == 0xDD:
        frame.restart = int.from_bytes(body[:2], "big")


def _huffman_tables(frame: _Frame, body: bytes) -> None:
    place = 0
    while place + 17 <= len(body):
        counts = body[place + 1 : place + 17]
        symbols = body[place + 17 : place + 17 + sum(counts)]
        frame.tables[body[place]] = _lookup(counts, symbols)
        place += 17 + len(symbols)


def _lookup(counts: Sequence[int], symbols: bytes) -> list[int]:
    """What the next 16 bits begin with: `length << 8 | symbol`, 0 where they begin with no code (T.81, C.2)."""
    table = [0] * (1 << LOOK)
    code = place = 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[place : place + count]:
            first = code << (LOOK - length)
            table[first : first + (1 << (LOOK - length))] = [length << 8 | symbol] * (1 << (LOOK - length))
            code += 1
        place += count
        code <<= 1
    return table[: 1 << LOOK]


def _scan(frame: _Frame, head: bytes, data: bytes, start: int) -> int:
    """Walk one scan and note what it lost; returns the place behind it."""
    chosen = [(head[place], head[place + 1]) for place in range(1, 1 + 2 * head[0], 2)]
    parts, end, closed = _intervals(data, start)
    if frame.kind == 0xC2:
        first, last, low = head[-3], head[-2], head[-1] & 15
        for number, _ in chosen:
            frame.finest |= dict.fromkeys(((number, place) for place in range(first, last + 1)), low)
            frame.lost[number] = max(frame.lost.get(number, 0.0), 0.0 if closed else 1.0)
        return end
    if frame.kind not in _SEQUENTIAL:
        return end
    across, down, blocks = _units(frame, chosen)
    total = across * down
    every = frame.restart or total
    lost = total - _units_read(parts, blocks, total, every, across)
    for number, _ in chosen:
        frame.lost[number] = lost / total
    return end


def _units(frame: _Frame, chosen: Sequence[tuple[int, int]]) -> tuple[int, int, list[Tables]]:
    """Units of the scan across and down, and the two tables of every block of a unit (T.81, A.2)."""
    widest = max(each.across for each in frame.components.values())
    highest = max(each.down for each in frame.components.values())

    def tables(byte: int) -> Tables:
        return frame.tables[byte >> 4], frame.tables[0x10 | byte & 15]

    if len(chosen) == 1:
        number, byte = chosen[0]
        part = frame.components[number]
        across = -(-frame.width * part.across // (8 * widest))
        return across, -(-frame.height * part.down // (8 * highest)), [tables(byte)]
    blocks = [
        tables(byte)
        for number, byte in chosen
        for _ in range(frame.components[number].across * frame.components[number].down)
    ]
    return -(-frame.width // (8 * widest)), -(-frame.height // (8 * highest)), blocks


def _intervals(data: bytes, start: int) -> tuple[list[tuple[int, bytes]], int, bool]:
    """The scan's data between restart markers, each with the number of the marker before it (-1 before the first); the place
    of the marker that ends the scan; and whether there is one."""
    parts: list[tuple[int, bytes]] = []
    number, begin, place = -1, start, start
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        kind = data[place + 1]
        if kind in _RESTARTS:
            parts.append((number, data[begin:place]))
            number, begin = kind - 0xD0, place + 2
        elif kind not in (0x00, 0xFF):
            parts.append((number, data[begin:place]))
            return parts, place, True
        place += 2 if kind == 0 else 1
    parts.append((number, data[begin:]))
    return parts, len(data), False


def _units_read(
    parts: Sequence[tuple[int, bytes]], blocks: Sequence[Tables], total: int, every: int, across: int
) -> int:
    """How many units of a scan show what they should, with restart markers to find the way again where data is lost."""
    done = read = 0
    expected = -1
    for number, part in parts:
        if expected >= 0 and number >= 0:
            done += every * ((number - expected) % 8)  # intervals whose markers are missing
        expected = 0 if number < 0 else (number + 1) % 8
        left = min(every, total - done)
        if left <= 0:
            break
        found = _walk(part.replace(b"\xff\x00", b"\xff"), blocks, left)
        read += found.units if found.fits(left) or left < 2 * across else _before_break(found, left, across)
        done += every
    return read


@dataclass(frozen=True, slots=True)
class _Walk:
    """What was read of an interval: units, the bytes left behind the last, and the first DC value of every unit."""

    units: int
    left: int
    levels: Sequence[int]

    def fits(self, wanted: int) -> bool:
        """Whether the data ends where the units do; bytes that are too many show as surely as missing ones that some are
        not what they were."""
        return self.units == wanted and self.left < 2


def _before_break(found: _Walk, wanted: int, across: int) -> int:
    """How many units come before the data breaks off or goes astray.

    Huffman codes fall into step again, so what follows garbage is read, but shifted and of another brightness: a whole line
    of units then differs from the line above as none else does. Where none stands out, the data just ends too early.
    """
    steps = [abs(level - above) for above, level in zip(found.levels, found.levels[across:], strict=False)]
    sums = list(itertools.accumulate(steps, initial=0))
    lines = [sums[end] - sums[end - across] for end in range(across, len(sums))]
    if not lines:
        return 0
    usual = sorted(lines)[len(lines) // 2]
    place = max(range(len(lines)), key=lines.__getitem__)
    few_missing = wanted - found.units < FEW * wanted
    astray = few_missing or lines[place] > ASTRAY * max(usual, across)
    return place + across if astray else found.units


def _walk(data: bytes, blocks: Sequence[Tables], wanted: int) -> _Walk:
    """Read units of one interval until an impossible symbol or the end of the data."""
    bits = value = place = used = level = 0
    padded, there = data + b"\0" * 16, 8 * len(data)
    levels: list[int] = []
    for unit in range(wanted):
        for number, (dc, ac) in enumerate(blocks):
            index = 0
            while index < 64:
                while bits < 32:
                    value = (value << 32 | int.from_bytes(padded[place : place + 4], "big")) & 0xFFFFFFFFFFFFFFFF
                    place, bits = place + 4, bits + 32
                entry = (dc if index == 0 else ac)[value >> (bits - LOOK) & 0xFFFF]
                length, symbol = entry >> 8, entry & 255
                more = symbol & 15
                bits, used = bits - length - more, used + length + more
                if length == 0 or used > there or (index == 0 and symbol > 11):
                    return _Walk(unit, 0, levels)
                if index == 0:
                    if number == 0:
                        step = value >> bits & ((1 << more) - 1)
                        level += step if more == 0 or step >> (more - 1) else step - (1 << more) + 1
                    index = 1
                elif symbol == 0:
                    break
                else:
                    index += (symbol >> 4) + 1
                    if index > 64 or (more == 0 and symbol != 0xF0):
                        return _Walk(unit, 0, levels)
        levels.append(level)
    return _Walk(wanted, (there - used) // 8, levels)
