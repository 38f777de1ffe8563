"""An adapter: small trainable modules of lycoris-lora hung on a frozen UNet and, if asked, on its text encoder.

Targets, names and files follow kohya's convention, which A1111, Forge, ComfyUI and diffusers read. lycoris' own
network builder is not used: it keeps its settings on a class, and its presets miss Stable Diffusion's layer names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from pipeline.errors import PrepError

os.environ.setdefault("LYCORIS_KERNEL_BACKEND", "torch")
ALGORITHMS = ("lora", "locon", "loha")
TRANSFORMER = ("Transformer2DModel",)
CONVOLUTIONAL = ("ResnetBlock2D", "Downsample2D", "Upsample2D")
TEXT = ("CLIPAttention", "CLIPMLP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What kind of adapter: `rank` and `alpha` for linear layers and 1×1 convolutions, the `conv_` pair for larger ones.

    `convolutions` adapts the UNet's resnet, down- and upsampling layers too (LoCon); `text_encoder` the text model.
    """

    algorithm: str
    rank: int
    alpha: float
    convolutions: bool = False
    conv_rank: int = 0
    conv_alpha: float = 1.0
    text_encoder: bool = False


def targets(root: nn.Module, classes: tuple[str, ...]) -> Iterator[tuple[str, nn.Module]]:
    """(path, layer) of every Linear and Conv2d inside a module of one of the classes, each once, in order of path."""
    seen: dict[str, nn.Module] = {}
    for path, module in root.named_modules():
        if type(module).__name__ in classes:
            for inner, layer in module.named_modules(prefix=path):
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    seen[inner] = layer
    yield from seen.items()


def text_prefix(text_encoder: nn.Module) -> str:
    """Transformers 5 dropped `text_model.` from CLIPTextModel's paths; the files' readers still expect it."""
    return "lora_te" if hasattr(text_encoder, "text_model") else "lora_te_text_model"


class Adapter(nn.Module):
    """The trainable part. `hang()` puts it into the layers' forward passes, `take_off()` removes it again."""

    def __init__(self, shape: Shape, unet: nn.Module, text_encoder: nn.Module) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleDict()
        classes = TRANSFORMER + (CONVOLUTIONAL if shape.convolutions else ())
        for path, layer in targets(unet, classes):
            self._add("lora_unet_" + path.replace(".", "_"), layer)
        if shape.text_encoder:
            for path, layer in targets(text_encoder, TEXT):
                self._add(f"{text_prefix(text_encoder)}_{path.replace('.', '_')}", layer)
        if not self.layers:
            raise PrepError(
                "the base model has no layer this adapter could hang on",
                "use a Stable Diffusion 1.x or 2.x model in diffusers format",
            )

    def _add(self, name: str, layer: nn.Module) -> None:
        from lycoris.modules.locon import LoConModule
        from lycoris.modules.loha import LohaModule

        large = isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)
        rank, alpha = (self.shape.conv_rank, self.shape.conv_alpha) if large else (self.shape.rank, self.shape.alpha)
        if self.shape.algorithm == "loha":
            module = LohaModule(name, layer, lora_dim=rank, alpha=float(alpha))
        else:
            module = LoConModule(name, layer, lora_dim=rank, alpha=float(alpha), bypass_mode=True)
        self.layers[name] = module.float()

    def _hooks(self) -> list[Any]:
        return list(self.layers.values())

    def hang(self) -> None:
        for module in self._hooks():
            module.apply_to()

    def take_off(self) -> None:
        for module in self._hooks():
            module.restore()

    def set_strength(self, strength: float) -> None:
        """0 is the base model, 1 the adapter as trained."""
        for module in self._hooks():
            module.multiplier = strength

    def parameters_of(self, part: str) -> list[nn.Parameter]:
        """The parameters hung on `unet` or on the text encoder (`te`)."""
        return [
            weight
            for name, module in self.layers.items()
            if name.startswith(f"lora_{part}_")
            for weight in module.parameters()
        ]

    def tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """`<layer>.<weight>` → contiguous CPU tensor, as the file holds them; alpha is a float scalar."""
        found = {
            f"{name}.{key}": value for name, module in self.layers.items() for key, value in module.state_dict().items()
        }
        return {key: value.detach().to("cpu", dtype).contiguous().clone() for key, value in found.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put weights back that `tensors()` gave.

        Raises:
            PrepError: a weight is missing, left over, or of another shape.
        """
        expected = self.tensors()
        wrong = sorted(expected.keys() ^ tensors.keys())
        wrong += [key for key in expected.keys() & tensors.keys() if expected[key].shape != tensors[key].shape]
        if wrong:
            raise PrepError(
                f"the adapter file does not fit: {len(wrong)} weights differ, the first is {wrong[0]}",
                "train with the same algorithm, rank and base model as the file",
            )
        for name, module in self.layers.items():
            module.load_state_dict({key: tensors[f"{name}.{key}"] for key in module.state_dict()})


def read_adapter(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and metadata of an adapter file; only safetensors are opened."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except Exception as error:
        raise PrepError(
            f"{path} is not a readable safetensors file: {error}", "train it again with: prep train SET --force"
        ) from error
