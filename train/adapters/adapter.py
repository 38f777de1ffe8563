"""An adapter: small trainable modules attached to a frozen UNet and, if asked, to its text encoders.

Targets, names and files follow kohya's convention, which A1111, Forge, ComfyUI and diffusers read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from pipeline.core.errors import PrepError
from train.adapters.algebra.dora import magnitude_axis
from train.adapters.algebra.lycoris import quiet
from train.adapters.algebra.norms import scale_weight_norms
from train.adapters.algorithms.algorithm import Algorithm
from train.adapters.algorithms.keys import Shapes
from train.adapters.config import AdapterConfig, layer_config
from train.adapters.count.planned import nothing_to_train
from train.adapters.count.summary import Module, ParameterSummary, acting, figures_of
from train.adapters.detect import refuse_foreign
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer, faults, input_channels
from train.adapters.files.reader import open_adapter
from train.adapters.files.weights import Weights
from train.adapters.inject.dropout import Clock, Dropout, Key, StepContext
from train.adapters.inject.initial_weights import initial_weights
from train.adapters.inject.layer_tensors import LayerTensors
from train.adapters.inject.targets import Target, every_layer, targets_of
from train.adapters.inject.wrapper import Wrapper
from train.adapters.names.blocks import by_block
from train.adapters.names.key_styles import EMBEDDING, SCALAR
from train.adapters.names.kohya_names import by_layer
from train.adapters.registry import ALGORITHMS, kind_of
from train.models.base import BaseModel

__all__ = ["Adapter", "AdapterConfig", "read_adapter"]


class Adapter(nn.Module):
    """The trainable part. `attach()` puts it into the layers' forward passes, `detach()` removes it again.

    `layers` holds each layer's tensors by its name in files, `wrappers` what attaches them to the layer.
    """

    def __init__(self, config: AdapterConfig, unet: nn.Module, *text_encoders: nn.Module) -> None:
        """A new one, which changes nothing yet; initial weights come from torch's global generator.

        Raises:
            PrepError: the base model has no such layers, or the algorithm cannot be attached to one.
        """
        super().__init__()
        self.config = config
        self.clock = Clock()
        self.layers = nn.ModuleDict()
        self.wrappers: dict[str, Wrapper] = {}
        wanted = [
            target
            for target in targets_of(config, unet, text_encoders)
            if target.name.split("_")[1] not in config.left_out
        ]
        present = {target.block for target in wanted}
        self.rates = by_block(config.blocks, present, "blocks")
        ranks = by_block(config.block_ranks, present, "block_ranks")
        alphas = by_block(config.block_alphas, present, "block_alphas")
        with quiet():
            for target in wanted:
                if self.rates.get(target.block, 1.0):
                    self._begin(target, ranks.get(target.block), alphas.get(target.block))
        if not self.wrappers:
            raise nothing_to_train()

    def _begin(self, target: Target, rank: int | None, alpha: float | None) -> None:
        """Add a layer with its initial weights."""
        own = layer_config(self.config, target.path, large=target.large, rank=rank, alpha=alpha)
        tensors = initial_weights(target.algorithm, target.name, target.layer, own)
        self._add(target.name, target.layer, target.block, target.algorithm, tensors)

    @classmethod
    def of_tensors(
        cls, tensors: Mapping[str, Tensor], config: AdapterConfig, unet: nn.Module, *text_encoders: nn.Module
    ) -> Adapter:
        """The adapter that a file's tensors are, each layer with the algorithm, rank and alpha it has there.

        Raises:
            PrepError: a layer is not in the base model, or its tensors are of no known algorithm or another size.
        """
        adapter = cls.__new__(cls)
        nn.Module.__init__(adapter)
        adapter.config, adapter.clock, adapter.rates = config, Clock(), {}
        adapter.layers, adapter.wrappers = nn.ModuleDict(), {}
        known, asked = every_layer(unet, text_encoders), ALGORITHMS[config.algorithm]
        for name, own in by_layer(tensors).items():
            if name not in known:
                raise PrepError(
                    f"the adapter changes {name}, which the base model has not",
                    "use the family of base model it was trained on",
                )
            shapes = {key: tuple(value.shape) for key, value in own.items()}
            kind = kind_of(shapes)
            if kind is None:
                raise PrepError(f"{name} holds {', '.join(own)}, which is no known algorithm", "train the adapter anew")
            if wrong := faults(name, kind, shapes):
                raise PrepError(wrong[0], "the file is damaged")
            refuse_output_axis(name, shapes, input_channels(kind, shapes))
            layer, block = known[name]
            algorithm = asked if asked.stored is kind else ALGORITHMS[kind.name]
            adapter._add(name, layer, block, algorithm, {key: as_float(value) for key, value in own.items()})
            adapter._refuse_misfit(name)
        return adapter

    def _add(
        self, name: str, layer: nn.Module, block: str, algorithm: Algorithm, tensors: Mapping[str, Tensor]
    ) -> None:
        if isinstance(layer, nn.Conv2d) and layer.groups != 1:
            raise PrepError(f"{name} is a convolution in groups", "use a Stable Diffusion 1.x, 2.x or XL model")
        config = self.config
        dropout = Dropout(
            name, self.clock, config.rank_dropout, config.module_dropout, config.network_dropout, config.unit
        )
        held = LayerTensors(algorithm, tensors)
        self.layers[name] = held
        self.wrappers[name] = Wrapper(layer, algorithm, held, dropout, block)

    def _refuse_misfit(self, name: str) -> None:
        layer, weight = self._stored(name), self._base_weight(name)
        wanted = tuple(weight.shape)
        try:
            found = shape_of(layer, layer.weights.delta(weight), wanted)
            if layer.dora and found == wanted:
                self.delta(name)
        except (RuntimeError, IndexError, KeyError) as error:
            raise PrepError(f"the tensors of {name} do not fit each other: {error}", "the file is damaged") from error
        if found != wanted:
            raise PrepError(
                f"{name} is {list(found)} in the adapter and {list(wanted)} in the base model",
                "use the family of base model it was trained on",
            )

    def attach(self) -> None:
        for wrapper in self.wrappers.values():
            wrapper.attach()

    def detach(self) -> None:
        for wrapper in self.wrappers.values():
            wrapper.detach()

    def set_strength(self, strength: float) -> None:
        """0 is the base model, 1 the adapter as trained."""
        for wrapper in self.wrappers.values():
            wrapper.strength = strength

    @contextmanager
    def off(self) -> Iterator[None]:
        """Within, the model is the base model."""
        before = {name: wrapper.strength for name, wrapper in self.wrappers.items()}
        self.set_strength(0.0)
        try:
            yield
        finally:
            for name, wrapper in self.wrappers.items():
                wrapper.strength = before[name]

    def set_weights(self, weights: Weights) -> None:
        """A strength for the UNet, one for the text encoders, and one for each block."""
        for name, wrapper in self.wrappers.items():
            wrapper.strength = weights.of(name.split("_")[1] == "unet", wrapper.block)

    def scale_weight_norms(self, most: float) -> None:
        """Scale down the change of every layer whose norm is above `most`; normalization layers stay as they are."""
        scale_weight_norms((wrapper for wrapper in self.wrappers.values() if wrapper.shrinkable), most)

    @contextmanager
    def dropping(self, batch: Key, rows: Sequence[Key] = ()) -> Iterator[None]:
        """Within, what the dropouts say is left out; around a training step's forward and backward pass.

        Args:
            batch: key of the step, the same in all processes.
            rows: a key for each image of this process's batch; the text encoder's rows go through them in turn.
        """
        self.clock.step = StepContext(batch, tuple(rows))
        try:
            yield
        finally:
            self.clock.step = None

    def groups(self, part: str) -> list[tuple[float, list[nn.Parameter]]]:
        """(share of the learning rate, parameters) of a part: one group, or one for each share that blocks were given."""
        found: dict[float, list[nn.Parameter]] = {}
        prefixes = tuple(f"lora_{part}{end}" for end in (("_", "1_", "2_") if part == "te" else ("_",)))
        for name, module in self.layers.items():
            if name.startswith(prefixes):
                share = self.rates.get(self.wrappers[name].block, 1.0)
                found.setdefault(share, []).extend(module.parameters())
        return list(found.items())

    def delta(self, name: str) -> tuple[Tensor, Tensor | None]:
        """What the adapter at strength 1 adds to a layer's weight, and to its bias if anything, in float32."""
        layer = self._stored(name)
        with torch.no_grad():
            bias = layer.bias
            return difference(layer, self._base_weight(name)).clone(), None if bias is None else bias.clone()

    def _base_weight(self, name: str) -> Tensor:
        """The weight that a layer's adapter acts on, in float32 where the adapter's tensors are."""
        held = next(iter(self.layers[name].state_dict().values()))
        return self.wrappers[name].base_layer.whole().to(held.device)

    def _stored(self, name: str) -> Layer:
        """The layer as a file would hold it."""
        return Layer(name, self.wrappers[name].algorithm.stored.name, self.layers[name].state_dict())

    def describe(self) -> tuple[ParameterSummary, ...]:
        """Modules, scales and trained parameters of each part."""
        return figures_of(module_of(name, wrapper, self.layers[name]) for name, wrapper in self.wrappers.items())

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


def refuse_output_axis(name: str, shapes: Shapes, inputs: int) -> None:
    """See that DoRA's magnitudes are those of input channels.

    Raises:
        PrepError: they are those of outputs.
    """
    if "dora_scale" in shapes and magnitude_axis(shapes["dora_scale"], inputs) == "output":
        raise PrepError(
            f"{name} has DoRA along the output axis (wd_on_output in LyCORIS), prep trains it along the input axis",
            "start from an adapter without it, or train one with dora; to use this file: prep adapter convert FILE "
            "--base MODEL -o NEW.safetensors",
        )


def module_of(name: str, wrapper: Wrapper, held: nn.Module) -> Module:
    """A layer's adapter in figures, by its name in files."""
    shape, rank = wrapper.base_layer.shape, wrapper.trained.rank
    parameters = sum(each.numel() for each in held.parameters())
    scale = acting(float(held.get_buffer("alpha")), rank) if rank else None
    return Module(name.split("_")[1], len(shape) == 4 and math.prod(shape[2:]) > 1, parameters, scale)


def shape_of(layer: Layer, delta: Tensor, weight: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a layer's change, for a weight of that shape: a matrix has the kernel that the tensors tell, or else any."""
    if delta.dim() != 2:
        return tuple(delta.shape)
    kernel = layer.kind.kernel(layer.shapes)
    kernel = weight[2:] if kernel is None else kernel
    return (delta.shape[0], delta.shape[1] // math.prod(kernel), *kernel)


def agree(one: Tensor, other: Tensor) -> bool:
    """Whether two scalars are the same up to what half precision keeps of them."""
    return torch.allclose(one.float().cpu(), other.float().cpu(), rtol=1e-2, atol=1e-6)


def as_float(value: Tensor) -> Tensor:
    """A copy, in float32 where it is a number with a fraction."""
    return value.detach().to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)


def read_adapter(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and metadata of an adapter file, without textual inversions, and with LyCORIS' scalars in the weights; only
    safetensors are opened."""
    try:
        with safe_open(path, framework="pt") as file:
            held = {key: file.get_tensor(key) for key in file.keys() if not key.startswith(EMBEDDING)}  # noqa: SIM118
            return with_scalars(held, path), dict(file.metadata() or {})
    except PrepError:
        raise
    except Exception as error:
        raise PrepError(
            f"{path} is not a readable safetensors file: {error}", "train it again with: prep train SET --force"
        ) from error


def with_scalars(held: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights with LyCORIS' factor of a whole layer multiplied in, where there is one."""
    scaled = {key.removesuffix(f".{SCALAR}") for key in held if key.endswith(f".{SCALAR}")}
    if not scaled:
        return held
    file = open_adapter(path).sound()
    with file.reading() as layer:
        folded = {f"{name}.{key}": value for name in scaled for key, value in layer(name).tensors.items()}
    return {key: folded.get(key, value) for key, value in held.items() if not key.endswith(f".{SCALAR}")}


def attach_adapter(base: BaseModel, file: Path) -> Adapter:
    """Attach a trained adapter to its base model, ready to sample with.

    Raises:
        PrepError: the file is not there, or does not fit the base model.
    """
    adapter = unattached_adapter(base, file).to(base.device)
    adapter.attach()
    return adapter


def unattached_adapter(base: BaseModel, file: Path) -> Adapter:
    """A trained adapter of a base model's layers, in the host's memory.

    Raises:
        PrepError: the file is not there, or does not fit the base model.
    """
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", "train one with: prep train SET")
    tensors, _ = read_adapter(file)
    refuse_foreign(tensors, str(file))
    config = AdapterConfig(algorithm="lora", rank=1, alpha=1.0)  # every layer has its own, by its tensors
    held = {key: value.to(torch.float32) for key, value in tensors.items()}
    return Adapter.of_tensors(held, config, base.unet, *base.text_encoders)
