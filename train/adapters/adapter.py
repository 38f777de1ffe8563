"""An adapter: small trainable modules hung on a frozen UNet and, if asked, on its text encoders.

Targets, names and files follow kohya's convention, which A1111, Forge, ComfyUI and diffusers read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from pipeline.core.errors import PrepError
from train.adapters.config import AdapterConfig
from train.adapters.count.planned import nothing_to_train
from train.adapters.count.summary import Module, ParameterSummary, acting, figures_of
from train.adapters.inject.dropout import Clock, Dropout, Key, StepContext
from train.adapters.inject.hook import Wrapper
from train.adapters.inject.lycoris_init import Start, initial_weights
from train.adapters.inject.registry import KINDS, kind_of
from train.adapters.inject.targets import Target, every_layer, targets_of
from train.adapters.names.blocks import by_block
from train.adapters.names.layers import by_layer
from train.models.base import BaseModel

__all__ = ["Adapter", "AdapterConfig", "read_adapter"]


class Adapter(nn.Module):
    """The trainable part. `hang()` puts it into the layers' forward passes, `take_off()` removes it again.

    `layers` holds each layer's module by its name in files, `hooks` what hangs it on the layer.
    """

    def __init__(self, shape: AdapterConfig, unet: nn.Module, *text_encoders: nn.Module) -> None:
        """A new one, which changes nothing yet; first weights come from torch's global generator.

        Raises:
            PrepError: the base model has no such layers, or the algorithm cannot hang on one.
        """
        super().__init__()
        self.shape = shape
        self.clock = Clock()
        self.layers = nn.ModuleDict()
        self.hooks: dict[str, Wrapper] = {}
        wanted = list(targets_of(shape, unet, text_encoders))
        present = {target.block for target in wanted}
        self.rates = by_block(shape.blocks, present, "blocks")
        ranks = by_block(shape.block_ranks, present, "block_ranks")
        alphas = by_block(shape.block_alphas, present, "block_alphas")
        for target in wanted:
            if self.rates.get(target.block, 1.0):
                start = start_of(shape, target, ranks.get(target.block), alphas.get(target.block))
                tensors = initial_weights(target.algorithm, target.name, target.layer, start)
                self._add(target.name, target.layer, target.block, target.algorithm, tensors)
        if not self.hooks:
            raise nothing_to_train()

    @classmethod
    def of_tensors(
        cls, tensors: Mapping[str, Tensor], shape: AdapterConfig, unet: nn.Module, *text_encoders: nn.Module
    ) -> Adapter:
        """The adapter that a file's tensors are, each layer with the algorithm, rank and alpha it has there.

        Raises:
            PrepError: a layer is not in the base model, or its tensors are of no known algorithm or another size.
        """
        adapter = cls.__new__(cls)
        nn.Module.__init__(adapter)
        adapter.shape, adapter.clock, adapter.rates = shape, Clock(), {}
        adapter.layers, adapter.hooks = nn.ModuleDict(), {}
        known = every_layer(unet, text_encoders)
        for name, own in by_layer(tensors).items():
            if name not in known:
                raise PrepError(
                    f"the adapter changes {name}, which the base model has not",
                    "use the family of base model it was trained on",
                )
            algorithm = kind_of(own)
            if algorithm is None:
                raise PrepError(f"{name} holds {', '.join(own)}, which is no known algorithm", "train the adapter anew")
            layer, block = known[name]
            algorithm = shape.algorithm if (algorithm, shape.algorithm) == ("lora", "dylora") else algorithm
            adapter._add(name, layer, block, algorithm, {key: as_float(value) for key, value in own.items()})
            adapter._fits(name)
        return adapter

    def _add(self, name: str, layer: nn.Module, block: str, algorithm: str, tensors: Mapping[str, Tensor]) -> None:
        if isinstance(layer, nn.Conv2d) and layer.groups != 1:
            raise PrepError(f"{name} is a convolution in groups", "use a Stable Diffusion 1.x, 2.x or XL model")
        shape = self.shape
        drops = Dropout(
            name,
            self.clock,
            shape.rank_dropout,
            shape.module_dropout,
            shape.network_dropout,
            shape.unit if algorithm == "dylora" else 0,
        )
        module = KINDS[algorithm](tensors)
        self.layers[name] = module  # type: ignore[assignment]
        self.hooks[name] = Wrapper(layer, module, drops, block)

    def _fits(self, name: str) -> None:
        with torch.no_grad():
            try:
                found, wanted = self.delta_weight(name).shape, self.hooks[name].site.weight.shape
            except (RuntimeError, IndexError, KeyError) as error:
                raise PrepError(
                    f"the tensors of {name} do not fit each other: {error}", "the file is damaged"
                ) from error
        if found != wanted:
            raise PrepError(
                f"{name} is {list(found)} in the adapter and {list(wanted)} in the base model",
                "use the family of base model it was trained on",
            )

    def attach(self) -> None:
        for hook in self.hooks.values():
            hook.attach()

    def detach(self) -> None:
        for hook in self.hooks.values():
            hook.detach()

    def set_strength(self, strength: float) -> None:
        """0 is the base model, 1 the adapter as trained."""
        for hook in self.hooks.values():
            hook.strength = strength

    @contextmanager
    def dropping(self, batch: Key, rows: Sequence[Key] = ()) -> Iterator[None]:
        """Within, what the dropouts say is left out; around a training step's forward and backward pass.

        Args:
            batch: key of the step, the same in all processes.
            rows: a key for each image of this process's batch; the text encoder's rows go through them in turn.
        """
        self.clock.moment = StepContext(batch, tuple(rows))
        try:
            yield
        finally:
            self.clock.moment = None

    def parameters_of(self, part: str) -> list[nn.Parameter]:
        """The parameters hung on `unet`, on all text encoders (`te`), or on one (`te1`, `te2`)."""
        return [weight for _, weights in self.groups(part) for weight in weights]

    def groups(self, part: str) -> list[tuple[float, list[nn.Parameter]]]:
        """(share of the learning rate, parameters) of a part: one group, or one for each share that blocks were given."""
        found: dict[float, list[nn.Parameter]] = {}
        prefixes = tuple(f"lora_{part}{end}" for end in (("_", "1_", "2_") if part == "te" else ("_",)))
        for name, module in self.layers.items():
            if name.startswith(prefixes):
                share = self.rates.get(self.hooks[name].block, 1.0)
                found.setdefault(share, []).extend(module.parameters())
        return list(found.items())

    def delta(self, name: str) -> tuple[Tensor, Tensor | None]:
        """What the adapter at strength 1 adds to a layer's weight, and to its bias if anything, in float32."""
        with torch.no_grad():
            weight, bias = self.hooks[name].algorithm.delta(self.hooks[name].site)
        return weight.detach(), None if bias is None else bias.detach()

    def delta_weight(self, name: str) -> Tensor:
        return self.delta(name)[0]

    def describe(self) -> tuple[ParameterSummary, ...]:
        """Modules, scales and trained numbers of each part."""
        return figures_of(module_of(name, self.layers[name], hook.site.weight) for name, hook in self.hooks.items())

    def tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """`<layer>.<weight>` → contiguous CPU tensor, as the file holds them; alpha is a float scalar."""
        found = {
            f"{name}.{key}": value for name, module in self.layers.items() for key, value in module.state_dict().items()
        }
        return {
            key: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous().clone()
            for key, value in found.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put weights back that `tensors()` gave.

        Raises:
            PrepError: a weight is missing, left over, or of another shape.
        """
        expected = {
            f"{name}.{key}": value for name in self.layers for key, value in self.layers[name].state_dict().items()
        }
        wrong = sorted(expected.keys() ^ tensors.keys())
        wrong += sorted(key for key in expected.keys() & tensors.keys() if expected[key].shape != tensors[key].shape)
        wrong += sorted(
            key
            for key in expected.keys() & tensors.keys()
            if key.endswith((".alpha", ".on_input")) and not agree(expected[key], tensors[key])
        )
        if wrong:
            raise PrepError(
                f"the adapter file does not fit: {len(wrong)} weights differ, the first is {wrong[0]}",
                "train with the same algorithm, rank and base model as the file",
            )
        for name, module in self.layers.items():
            module.load_state_dict({key: tensors[f"{name}.{key}"] for key in module.state_dict()})


def module_of(name: str, module: Any, weight: Tensor) -> Module:
    """A layer's module in figures, by its name in files and the weight it changes."""
    numbers = sum(held.numel() for held in module.parameters())
    scale = acting(float(module.alpha), module.rank) if getattr(module, "rank", 0) else None
    return Module(name.split("_")[1], weight.dim() == 4 and weight[0, 0].numel() > 1, numbers, scale)


def agree(one: Tensor, other: Tensor) -> bool:
    """Whether two scalars are the same up to what half precision keeps of them."""
    return torch.allclose(one.float().cpu(), other.float().cpu(), rtol=1e-2, atol=1e-6)


def as_float(value: Tensor) -> Tensor:
    """A copy, in float32 where it is a number with a fraction."""
    return value.detach().to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)


def start_of(shape: AdapterConfig, target: Target, rank: int | None, alpha: float | None) -> Start:
    """What a layer's first weights are drawn with; a block's own rank and alpha count before the adapter's."""
    large = target.large and shape.conv_rank
    plain = (shape.conv_rank, shape.conv_alpha) if large else (shape.rank, shape.alpha)
    return Start(
        rank=rank or plain[0],
        alpha=plain[1] if alpha is None else alpha,
        factor=shape.factor,
        decompose_both=shape.decompose_both,
        full_matrix=shape.full_matrix,
        dora=shape.dora,
        rank_stabilized=shape.rank_stabilized,
        tucker=shape.tucker and target.large,
        on_input=target.on_input,
    )


def read_adapter(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and metadata of an adapter file; only safetensors are opened."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except Exception as error:
        raise PrepError(
            f"{path} is not a readable safetensors file: {error}", "train it again with: prep train SET --force"
        ) from error


def attach_adapter(base: BaseModel, file: Path) -> Adapter:
    """Hang a trained adapter on its base model, ready to sample with.

    Raises:
        PrepError: the file is not there, or does not fit the base model.
    """
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", "train one with: prep train SET")
    tensors, _ = read_adapter(file)
    shape = AdapterConfig(algorithm="lora", rank=1, alpha=1.0)  # every layer has its own, by its tensors
    held = {key: value.to(torch.float32) for key, value in tensors.items()}
    adapter = Adapter.of_tensors(held, shape, base.unet, *base.text_encoders).to(base.device)
    adapter.attach()
    return adapter
