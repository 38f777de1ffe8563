"""The device that a run is for, by what matters to its plan: what it computes fast, and how much memory it has."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

GIB = 2**30
CONTEXT = 0.55
"""GiB of a card that no run can use: CUDA's context and the libraries' workspaces."""
BUILT_FOR = re.compile(r"^(cuda|hip|rocm|xpu)\b[^=]*= *['\"]", re.MULTILINE)
"""Where torch's version.py says what it was built for."""
HOST_SHARE = 0.5
"""What of the host's free memory a run may take: other programs use it too."""
PIECES = 0.97
"""What of the rest an allocator gives out before what it holds is in pieces."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`half` are the precisions it computes in faster than in float32, the best first; `separate` is whether parts can leave
    its memory for the host's; `room` how many bytes a run may take, and `told` where that is from."""

    name: str
    half: tuple[str, ...]
    float8: bool
    separate: bool
    room: int
    told: str


def machine_of(device: str, vram: float | None) -> Machine:
    """The device that is asked for; torch is only loaded where it could have another one than the CPU.

    Raises:
        PrepError: there is no such device.
    """
    import psutil

    if device == "cpu" or (device == "auto" and not has_devices()):
        free = int(psutil.virtual_memory().available)
        return Machine("the CPU", (), True, False, *_room(round(HOST_SHARE * free), vram, "half of what is free", 0.0))
    from train.device import abilities, device_name, free_bytes, pick_device

    found = pick_device(device)
    able = abilities(found)
    name = device_name(found)
    if found.type == "cpu":
        return machine_of("cpu", vram)
    room = _room(free_bytes(found), vram, f"free on {name}", CONTEXT)
    return Machine(name, able.half, able.float8, able.separate, *room)


def _room(free: int, vram: float | None, where: str, context: float) -> tuple[int, str]:
    """(bytes, where they are from); of a card's size what its context takes is no room, of what is free it is taken already."""
    if vram is None:
        return round(
            free * PIECES
        ), f"{free / GIB:.1f} GiB, {where}" if context == 0 else f"{free / GIB:.1f} GiB {where}"
    return max(0, round((vram - context) * PIECES * GIB)), f"vram = {vram:g}"


def has_devices() -> bool:
    """Whether torch was built for anything but the CPU, by what its package says of itself."""
    if sys.platform == "darwin":
        return True
    if "torch" in sys.modules:
        from train.device import KINDS, usable

        return any(usable(kind) for kind in KINDS if kind != "cpu")
    found = find_spec("torch")
    if found is None or found.origin is None:
        return False
    said = Path(found.origin).with_name("version.py")
    return not said.is_file() or bool(BUILT_FOR.search(said.read_text(encoding="utf-8")))
