"""The state of a run on disk: enough to go on exactly where it was, in one safetensors file and no pickle."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.files import replacing
from train.adapter import Adapter


def save_state(file: Path, adapter: Adapter, optimizer: torch.optim.Optimizer, step: int, digest: str) -> None:
    """Write weights, moments and the number of steps done; a kill leaves the old state or the new one."""
    tensors = {
        f"adapter.{index}": weight.detach().cpu().contiguous() for index, weight in enumerate(adapter.parameters())
    }
    counts: dict[str, int] = {}
    for index, entry in optimizer.state_dict()["state"].items():
        counts[str(index)] = int(entry["step"])
        tensors |= {f"optimizer.{index}.{name}": entry[name].cpu().contiguous() for name in ("exp_avg", "exp_avg_sq")}
    meta = {"step": str(step), "digest": digest, "counts": json.dumps(counts)}
    with replacing(file) as temporary:
        save_file(tensors, temporary, meta)


def load_state(file: Path, adapter: Adapter, optimizer: torch.optim.Optimizer, digest: str) -> int:
    """Bring a run back and return the steps it had done; 0, with nothing changed, where the state is of another run."""
    if not file.exists():
        return 0
    with safe_open(file, framework="pt") as stored:
        meta = stored.metadata() or {}
        if meta.get("digest") != digest:
            return 0
        tensors: dict[str, Tensor] = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    with torch.no_grad():
        for index, weight in enumerate(adapter.parameters()):
            weight.copy_(tensors[f"adapter.{index}"])
    state = optimizer.state_dict()
    state["state"] = {
        int(index): {
            "step": torch.tensor(float(count)),
            "exp_avg": tensors[f"optimizer.{index}.exp_avg"],
            "exp_avg_sq": tensors[f"optimizer.{index}.exp_avg_sq"],
        }
        for index, count in json.loads(meta["counts"]).items()
    }
    optimizer.load_state_dict(state)
    return int(meta["step"])
