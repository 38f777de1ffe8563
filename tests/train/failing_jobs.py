"""Jobs for several processes of which one fails; apart from the tests, so that a process loads little to do them."""

import errno
import os

from pipeline.core.errors import PrepError
from train.distributed.world import World


def fails(job: str, world: World, progress) -> None:
    if world.rank == 1:
        raise PrepError(f"{job} is no good", "mend it")
    world.wait()


def dies(job: str, world: World, progress) -> None:
    if world.rank == 1:
        os._exit(7)
    world.wait()


def breaks(job: str, world: World, progress) -> None:
    if world.rank == 1:
        raise ZeroDivisionError("a fault of ours")
    world.wait()


def fills_the_disk(job: str, world: World, progress) -> None:
    if world.rank == 1:
        raise OSError(errno.ENOSPC, "No space left on device", job)
    world.wait()
