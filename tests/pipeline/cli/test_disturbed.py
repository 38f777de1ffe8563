"""Killed, stopped or out of disk space at any point, a command done again ends with the set of an undisturbed run."""

import os
import random
import shutil

import pytest
from disturbed import HOW, contents, run
from painted_sets import painted, save

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and fork servers are of POSIX systems")
POINTS = {"killed": 8, "stopped": 5, "full": 5}
ROUND = (
    "flatten",
    "check",
    "bucket",
    "tag",
    "curate",
    "balance",
    "undo",
    "flatten again",
    "check again",
    "curate again",
)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """For every command the set before it, what to run, and all that the set holds after it."""
    folder = tmp_path_factory.mktemp("disturbed")
    source = folder / "source"
    for number in range(9):
        name = f"characters/Lumi/{number}.png" if number % 3 else f"artists/[a]/{number}.png"
        save(painted(number, 1.5), source / name)
    save(painted(1, 1.5), source / "artists/copy.png")
    (source / "characters/Lumi/1.txt").write_text("Lumi, by hand", encoding="utf-8")
    (source / "characters/Lumi/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    root = folder / "set"
    root.mkdir()
    (root / "prep.toml").write_text(
        f'[set]\nsources = ["{source.as_posix()}"]\n[bucket]\nresolution = 64\nbucket_reso_steps = 8\n'
        '[tag]\nmodel = "miniature"\nbatch_size = 2\n',
        encoding="utf-8",
    )
    found = {}
    for step in ROUND:
        _change(step, source, root)
        sources = folder / f"source of {step}"
        shutil.copytree(source, sources)
        before = folder / f"before {step}"
        shutil.copytree(root, before, copy_function=_link)
        arguments = [step.split()[0], str(root)]
        code, done = run(arguments)
        assert code == 0 and done > 3, step
        found[step] = before, sources, arguments, done, contents(root)
    return folder, found


def _link(one, other):
    """A copy for what is written in place, a link for what is only ever replaced."""
    (shutil.copy2 if one.endswith(("manifest.db", "-wal", "-shm")) else os.link)(one, other)


def _change(step, source, root):
    """What a person does between two commands."""
    if step == "flatten again":
        (source / "characters/Lumi/2.png").unlink()
        save(painted(30, 1.5), source / "artists/new.png")
        shutil.move(source / "artists/[a]/3.png", source / "artists/moved.png")
    if step == "curate again":
        file = root / "images/characters~Lumi/4.txt"
        file.unlink(missing_ok=True)
        file.write_text("edited by hand", encoding="utf-8")


@pytest.mark.parametrize("step", ROUND)
@pytest.mark.parametrize("how", HOW)
def test_a_disturbed_command_done_again_ends_as_an_undisturbed_one(sets, step, how):
    folder, found = sets
    before, sources, arguments, done, wanted = found[step]
    root = folder / "set"
    shutil.rmtree(folder / "source")
    shutil.copytree(sources, folder / "source")
    chance = random.Random(f"{step} {how}")
    done -= (
        step == "undo"
    )  # the last thing is to let go of the set: the run is undone then, and again would undo another
    for at in sorted(chance.sample(range(1, done + 1), min(done, POINTS[how]))):
        shutil.rmtree(root)
        shutil.copytree(before, root, copy_function=_link)
        code, _ = run(arguments, how, at)
        assert code in {"killed": (-9, 0), "stopped": (130, -9, 0), "full": (1, -9, 0)}[how], (at, code)
        code, _ = run(arguments)
        assert code == 0 and contents(root) == wanted, f"{how} at {at} of {done}"
