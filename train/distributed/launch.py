"""Training in several processes: each is started with what accelerate reads, does its share, and reports to this one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from queue import Empty
from typing import Any

import torch
from torch import multiprocessing
from torch.multiprocessing.spawn import start_processes

from pipeline.core.errors import PrepError
from train.device import pick_device
from train.distributed.world import ALONE, World

ProgressCallback = Callable[[str, int, int], None]
Work = Callable[[Any, World, ProgressCallback], Any]
"""A function of a module, called as work(job, team, progress) in every process; what it returns in the first one counts."""
POLL_S = 0.1
GRACE_S = 5.0
"""How long is waited for another process to say why it ended, where one fails as it lost the other."""
LOST = ("gloo", "NCCL", "Connection", "Broken pipe")
"""What the words of a failure hold that another process's end caused."""
PROGRESS, DONE, FAILED, SYSTEM, STOPPED, CRASHED = "progress", "done", "failed", "system", "stopped", "crashed"


def in_processes(work: Work, job: Any, count: int, device: str, progress: ProgressCallback) -> Any:
    """Do `work` in `count` processes and return what the first of them returns.

    Raises:
        PrepError: there are not as many GPUs, a process raised one, failed otherwise (its traceback is on stderr), or ended
            by itself.
        OSError: a process raised one, such as that the disk is full.
        KeyboardInterrupt: the person stopped it; the processes have saved what they had.
    """
    _refuse_too_many(count, device)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(count)}
    started = start_processes(
        _begin, (work, job, count, device, address, queue), nprocs=count, join=False, start_method="spawn"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if _takes_signals() else None
    try:
        return _listen(started.processes, queue, progress)
    finally:
        for process in started.processes:
            if process.is_alive():
                process.terminate()
            process.join()
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _listen(processes: list[Any], queue: Any, progress: ProgressCallback) -> Any:
    """Pass on progress until every process is done, or one fails."""
    results, stopped = dict[int, Any](), list[str]()
    while len(results) + len(stopped) < len(processes):
        try:
            kind, rank, rest = queue.get(timeout=POLL_S)
        except Empty:
            _refuse_dead(processes, results.keys())
            continue
        if kind == PROGRESS:
            progress(*rest)
        elif kind == FAILED:
            raise PrepError(*rest)
        elif kind == CRASHED:
            if any(word in rest[0] for word in LOST):
                _refuse_first_cause(processes, rank, queue)
            raise PrepError(*rest)
        elif kind == SYSTEM:
            raise OSError(*rest)
        elif kind == STOPPED:
            stopped.append(rest)
        else:
            results[rank] = rest
    if stopped:
        raise KeyboardInterrupt(stopped[0])
    return results[0]


def _refuse_first_cause(processes: list[Any], rank: int, queue: Any) -> None:
    """Where one process failed as it lost another, say what became of that one instead.

    Raises:
        PrepError, OSError: another process failed otherwise or ended by itself, within a few seconds.
    """
    until = time.monotonic() + GRACE_S
    while time.monotonic() < until:
        _refuse_dead([process if place != rank else None for place, process in enumerate(processes)], ())
        with contextlib.suppress(Empty):
            kind, other, rest = queue.get(timeout=POLL_S)
            if other != rank and kind in (FAILED, CRASHED):
                raise PrepError(*rest)
            if other != rank and kind == SYSTEM:
                raise OSError(*rest)
        if not any(process.is_alive() for place, process in enumerate(processes) if place != rank):
            _refuse_dead([process if place != rank else None for place, process in enumerate(processes)], ())
            return


def _refuse_dead(processes: list[Any], done: Any) -> None:
    for rank, process in enumerate(processes):
        if process is not None and process.exitcode not in (None, 0) and rank not in done:
            raise PrepError(
                f"process {rank + 1} of {len(processes)} that train together ended with code {process.exitcode}",
                "what it said stands above; run the same again to go on from the last saved state",
            )


def _begin(rank: int, work: Work, job: Any, count: int, device: str, address: dict[str, str], queue: Any) -> None:
    """The life of one process."""
    on_cpu = device == "cpu"
    os.environ |= address | {"RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": str(on_cpu).lower()}
    from accelerate import PartialState

    def tell(what: str, done: int, total: int) -> None:
        queue.put((PROGRESS, rank, (what, done, total)))

    def quiet(what: str, done: int, total: int) -> None:
        pass

    state = PartialState(cpu=on_cpu)
    try:
        result = work(job, World(rank, count), tell if rank == 0 else quiet)
        queue.put((DONE, rank, result if rank == 0 else None))
    except PrepError as error:
        queue.put((FAILED, rank, (error.message, error.hint)))
    except KeyboardInterrupt as stop:
        queue.put((STOPPED, rank, str(stop)))
    except OSError as error:
        queue.put((SYSTEM, rank, (error.errno, error.strerror or str(error), error.filename)))
    except Exception as error:
        traceback.print_exc()
        words = f"process {rank + 1} of {count} that train together failed: {type(error).__name__}: {error}"
        queue.put(
            (
                CRASHED,
                rank,
                (words, "its traceback stands above; run the same again to go on from the last saved state"),
            )
        )
    finally:
        queue.close()
        queue.join_thread()
        state.destroy_process_group()


def process_device(device: str, world: World) -> str:
    """The device of one process: the CPU for all, or a GPU for each."""
    return device if world == ALONE or device == "cpu" else f"cuda:{world.rank}"


def shared_device(asked: str, count: int) -> str:
    """The device of one process, and `cpu` or `cuda` for several together.

    Raises:
        PrepError: one GPU of several was asked for.
    """
    if count > 1 and asked.startswith("cuda:"):
        raise PrepError(
            f"device {asked} is one GPU, but {count} processes take one each", "use --device cuda or --processes 1"
        )
    if asked == "auto":
        return pick_device("auto").type if count == 1 else "cuda" if torch.cuda.is_available() else "cpu"
    return asked


def _refuse_too_many(count: int, device: str) -> None:
    if device != "cpu" and torch.cuda.device_count() < count:
        raise PrepError(
            f"{count} processes need as many GPUs, and torch sees {torch.cuda.device_count()}",
            f"use --processes {max(1, torch.cuda.device_count())}, or --device cpu",
        )


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _takes_signals() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()
