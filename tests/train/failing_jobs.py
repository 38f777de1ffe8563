"""Jobs for several processes of which one fails; apart from the tests, so that a process loads little to do them."""

import os

from pipeline.core.errors import PrepError
from train.distributed.world import World


def fails(job: str, team: World, progress) -> None:
    if team.rank == 1:
        raise PrepError(f"{job} is no good", "mend it")
    team.wait()


def dies(job: str, team: World, progress) -> None:
    if team.rank == 1:
        os._exit(7)
    team.wait()
