"""Options of a run: its name, where its settings come from, on what it runs, and what it saves. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config.rules import BESIDE, PERSONAL, PERSONAL_BESIDE, Range, at_least, idle_unless, option
from pipeline.core.filenames import safe


def _plain(name: str) -> bool:
    return bool(name) and safe(name) == name and name.strip(". ") == name


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    name: str = option("adapter", Range(_plain, "a plain file name"), PERSONAL_BESIDE)
    """Name of the run: files go to SET/runs/NAME, the adapter is NAME.safetensors."""
    preset: str | None = option(None, PERSONAL_BESIDE)
    """Settings from published notes; prep.toml and flags take precedence, and what belongs to another optimizer or algorithm
    than the one given is dropped. alea-lora, alea-locon, alea-loha, alea-loha-fast, alea-loha-cosine,
    alea-loha-half-text, alea-loha-clip2, alea-loha-dadapt, alea-loha-32, alea-loha-32-fast, alea-loha-32-half;
    roukin8-loha, roukin8-locon, roukin8-checkpoint; comparison-lora, comparison-lora-text, comparison-lora-32,
    comparison-lora-32-text, comparison-locon, comparison-locon-32, comparison-loha, comparison-loha-6,
    comparison-lokr-0, comparison-lokr-2, comparison-lokr-4, comparison-glora, comparison-oft; tutorial-locon;
    easy-dadaptadam, easy-prodigy; notes-character, notes-character-few, notes-character-adaptive, notes-style,
    notes-style-out, notes-concept, notes-concept-in, notes-skin, notes-lokr, notes-ia3, notes-sdxl-character."""
    suggest: Literal["A", "B", "C", "D", "E", "F", "G", "H", "I"] | None = option(None, PERSONAL_BESIDE)
    """Take the rank by how difficult a character is, over a preset's and below prep.toml's, and half of it as alpha where
    nothing else gives one: 8 for A, simple and realistic women; 16 for B, unusual faces, hair or clothes; 32 for C, very
    elaborate details, wings, tails; 64 for D, humanoids, furry characters, real people, and E, chibi bodies with two arms
    and legs; 128 for F, animals, humanoid robots, ornate armour, and G, mechs, aliens, many limbs; 192 for H, robots of
    other shapes, monsters, insects; 256 for I, eldritch ones. For SD 1.x; a quarter does on SDXL."""
    replay: Path | None = option(None, PERSONAL_BESIDE)
    """run.json of an earlier run to repeat under another name, with its settings except those given as flags; differences
    are reported."""
    seed: int = option(420, PERSONAL)
    """Random seed of order, noise, timesteps, shuffles and the adapter's initial weights."""
    device: str = option("auto", PERSONAL_BESIDE)
    """auto, cpu, cuda, cuda:N, xpu or mps."""
    processes: int = option(1, at_least(1), PERSONAL_BESIDE)
    """Processes (world size), each training on its share of every batch; with GPUs, one for each GPU."""
    tensorboard: bool = option(False, BESIDE)
    """Log to TensorBoard too."""


NO_SNAPSHOTS = idle_unless(
    "save_every_epochs", "save_every_steps", why="no snapshots are saved", hint="set save_every_epochs = 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingOptions:
    save_precision: Literal["fp32", "fp16", "bf16"] = option("fp16", BESIDE)
    """Precision of the saved adapter."""
    save_every_epochs: int = option(0, at_least(0), BESIDE)
    """Save a snapshot of the adapter after every so many epochs; 0 for none."""
    save_every_steps: int = option(0, at_least(0), BESIDE)
    """Save a snapshot of the adapter after every so many batches; 0 for none."""
    keep_last: int = option(0, at_least(0), NO_SNAPSHOTS, BESIDE)
    """How many snapshots are kept, the best always among them; 0 keeps all."""
    save_state_every: int = option(200, at_least(1), BESIDE)
    """Batches between saved training states, rounded up to the next optimizer update; an interrupted run resumes from the
    last one."""
    export_for: Literal["universal", "a1111", "forge", "comfyui", "diffusers", "as-trained"] = option(
        "universal", BESIDE
    )
    """Programs that must load the adapter exactly as trained: layers they do not support are converted without loss.
    universal is A1111, Forge and ComfyUI."""
    save_checkpoint: bool = option(False, BESIDE)
    """Also save the base model with the adapter merged in, merged-NAME, in the layout of the base model."""
