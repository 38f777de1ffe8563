"""Jobs for several processes of which one fails; apart from the tests, so that a process loads little to do them."""

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
