"""The tensors of one layer's adapter, as torch trains and saves them."""

from __future__ import annotations

from torch import Tensor, nn

from train.adapters.algorithms.algorithm import Algorithm, Tensors

CONSTANTS = ("alpha", "on_input")
"""Keys that no algorithm trains."""


class LayerTensors(nn.Module):
    """Tensors by their keys in files: trained ones are parameters, constants such as alpha are buffers.

    A key with a dot, such as `lora_up.weight`, lies in a part of its own, so that the state_dict has it too.
    """

    def __init__(self, algorithm: Algorithm, tensors: Tensors) -> None:
        super().__init__()
        constants = algorithm.trained.constants(tensors)
        self._holders: dict[str, tuple[dict[str, Tensor], str]] = {}
        for key in algorithm.stored.keys.all:
            if key in constants:
                self.register_buffer(key, constants[key])
                self._holders[key] = self._buffers, key  # type: ignore[assignment]
            elif key in tensors and key not in CONSTANTS:
                holder, name = self._hold(key), key.rpartition(".")[2]
                holder.register_parameter(name, nn.Parameter(tensors[key]))
                self._holders[key] = holder._parameters, name  # type: ignore[assignment]

    def _hold(self, key: str) -> nn.Module:
        """The part that holds a key."""
        part = key.rpartition(".")[0]
        if part and part not in self._modules:
            self.add_module(part, nn.Module())
        return self.get_submodule(part)

    def __getitem__(self, key: str, /) -> Tensor:
        holder, name = self._holders[key]
        return holder[name]

    def __contains__(self, key: object, /) -> bool:
        return key in self._holders

    def get(self, key: str, /) -> Tensor | None:
        return self[key] if key in self._holders else None
