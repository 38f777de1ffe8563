"""A device that computes nothing and counts memory: torch's fake tensors on a backend of its own.

Fake tensors have shapes, dtypes and storages but no numbers, so that a step of SDXL takes seconds and no memory. The backend
stands in for a GPU: it has autocast with CUDA's lists of operations (torch's "Autocast Op Reference"), and what the host holds
is told apart from what the device does.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "counted"
ALIGNED = 512
"""Bytes to which CUDA's allocator rounds up."""
LOWERED = (
    *("_convolution", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("addmm", "addmv", "addr", "matmul", "einsum", "mm", "mv", "linalg_vecdot", "linear", "addbmm", "baddbmm", "bmm"),
    *("chain_matmul", "linalg_multi_dot", "prelu", "scaled_dot_product_attention"),
)
"""What autocast computes in half precision on CUDA."""
RAISED = (
    *("exp", "log", "pow", "rsqrt", "reciprocal", "softplus", "layer_norm", "group_norm", "softmax", "log_softmax"),
    *("mse_loss", "smooth_l1_loss", "huber_loss", "norm", "cumsum", "cumprod", "prod", "sum"),
)
"""What it computes in float32."""


@cache
def fake_device() -> torch.device:
    """The device; torch is told of it once."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME)
    module = getattr(torch, NAME)
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    module.get_rng_state = lambda *_: torch.zeros(1, dtype=torch.uint8)
    module.set_rng_state = lambda *_: None
    module.device = lambda *_: contextlib.nullcontext()
    library = torch.library.Library("aten", "IMPL")
    for names, raised in ((LOWERED, False), (RAISED, True)):
        for name in names:
            packet = getattr(torch.ops.aten, name)
            for overload in packet.overloads():
                with contextlib.suppress(RuntimeError):  # those without a tensor
                    operation = getattr(packet, overload)
                    library.impl(operation, _cast(operation, raised), "AutocastPrivateUse1")
    library.__dict__["kept"] = fallthrough = torch.library.Library("_", "IMPL")
    fallthrough.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    _LIBRARIES.append(library)
    return torch.device(NAME)


_LIBRARIES: list[torch.library.Library] = []


def _cast(operation: Callable[..., Any], raised: bool) -> Callable[..., Any]:
    """An operation under autocast: with its floating tensors in half precision, or in float32."""

    def run(*args: Any, **more: Any) -> Any:
        dtype = torch.float32 if raised else torch.get_autocast_dtype(NAME)

        def cast(value: Any) -> Any:
            floating = isinstance(value, Tensor) and value.is_floating_point() and value.dtype is not torch.float64
            return value.to(dtype) if floating else value

        keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
        with torch._C._ExcludeDispatchKeyGuard(keys):
            return operation(*tree_map(cast, args), **tree_map(cast, more))

    return run


class Counter(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, by kind of device."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[str, int] = defaultdict(int)
        self.peak: dict[str, int] = defaultdict(int)
        self.waits: list[str] = []
        """Operations for which the host has to wait until the device has caught up."""
        self._known: weakref.WeakKeyDictionary[Any, None] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _waits(func, args, kwargs):
            self.waits.append(str(func))
        if func is torch.ops.aten._to_copy.default and torch.device(kwargs.get("device") or "cpu").type == NAME:
            # numbers that a fake tensor remembers would be copied really
            dtype = kwargs.get("dtype") or args[0].dtype
            result = torch.empty(tuple(args[0].shape), dtype=dtype, device=kwargs["device"])
        else:
            result = func(*args, **kwargs)
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage, kind = tensor.untyped_storage(), tensor.device.type
        if storage in self._known:
            return
        self._known[storage] = None
        size = -(-storage.nbytes() // ALIGNED) * ALIGNED
        self.live[kind] += size
        self.peak[kind] = max(self.peak[kind], self.live[kind])
        weakref.finalize(storage, self._free, kind, size)

    def _free(self, kind: str, size: int) -> None:
        self.live[kind] -= size

    @contextlib.contextmanager
    def phase(self, into: dict[str, dict[str, int]], name: str) -> Iterator[None]:
        """Within, peaks are counted anew; they are written down under the name."""
        gc.collect()
        self.peak = defaultdict(int, self.live)
        yield
        into[name] = {"device": self.peak[NAME], "host": self.peak["cpu"], "left": self.live[NAME]}


def _waits(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether an operation gives the host numbers that lie on the device."""
    of_device = any(isinstance(each, Tensor) and each.device.type == NAME for each in tree_leaves(args))
    if func is torch.ops.aten._to_copy.default:
        return of_device and torch.device(kwargs.get("device") or NAME).type == "cpu"
    if func is torch.ops.aten.copy_.default:
        return args[0].device.type == "cpu" and args[1].device.type == NAME
    return of_device and str(func).split(".")[1] in (
        "_local_scalar_dense",
        "nonzero",
        "is_nonzero",
        "equal",
        "masked_select",
    )


class _Flash(torch.autograd.Function):
    """Attention as a GPU's kernels keep it for the way back: inputs, output, and a number for each row."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = torch.empty(*query.shape[:-1], value.shape[-1], dtype=query.dtype, device=query.device)
        ctx.save_for_backward(query, key, value, out, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(each) for each in ctx.saved_tensors[:3])


def _attention(query: Tensor, key: Tensor, value: Tensor, *args: Any, **more: Any) -> Tensor:
    """In the place of torch's, which takes a backend that it does not know to have no kernel but the plain one."""
    if torch.is_autocast_enabled(NAME):
        dtype = torch.get_autocast_dtype(NAME)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    out: Tensor = _Flash.apply(query, key, value)  # type: ignore[no-untyped-call]
    return out


@contextlib.contextmanager
def counting() -> Iterator[Counter]:
    """Within, all tensors are fake, and those of the device and the host are counted."""
    fake_device()
    flash = patch("torch.nn.functional.scaled_dot_product_attention", _attention)
    with flash, FakeTensorMode(allow_non_fake_inputs=True), Counter() as counter:
        yield counter
