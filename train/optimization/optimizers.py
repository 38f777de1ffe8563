"""Optimizers by the names people know them by, each from the library that keeps it; loaded only when one is asked for."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError
from train.models.optional_libraries import import_failure

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerKind:
    """One optimizer: where its class is, and how it wants to be used.

    `rate` is its learning rate beside AdamW's, None where none suits in general. An `adaptive` one finds the rate by
    itself and multiplies it with the one given. An `averaging` one trains one point and answers with another, the
    average, which takes the place of a decaying schedule. `arguments` differ from the library's own defaults.
    """

    module: str
    name: str
    package: str = "torch"
    rate: float | None = 1.0
    adaptive: bool = False
    averaging: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


DECAY = {"weight_decay": 1e-2}
PRODIGY = {**DECAY, "use_bias_correction": True, "safeguard_warmup": True}
KINDS: Mapping[str, OptimizerKind] = {
    "AdamW": OptimizerKind(module="torch.optim", name="AdamW", arguments=DECAY),
    "AdamW8bit": OptimizerKind(module="bitsandbytes.optim", name="AdamW8bit", package="bitsandbytes", arguments=DECAY),
    # The paper (Chen et al. 2023, arXiv:2302.06675) takes a rate 3 to 10 times lower and a decay as much stronger.
    "Lion": OptimizerKind(
        module="pytorch_optimizer", name="Lion", package="pytorch-optimizer", rate=0.2, arguments={"weight_decay": 5e-2}
    ),
    "Lion8bit": OptimizerKind(
        module="bitsandbytes.optim",
        name="Lion8bit",
        package="bitsandbytes",
        rate=0.2,
        arguments={"weight_decay": 5e-2},
    ),
    "SGDNesterov": OptimizerKind(
        module="torch.optim", name="SGD", rate=None, arguments={"momentum": 0.9, "nesterov": True, "weight_decay": 0.0}
    ),
    "AdaFactor": OptimizerKind(
        module="transformers.optimization",
        name="Adafactor",
        package="transformers",
        arguments={"relative_step": False, "scale_parameter": False},
    ),
    "DAdaptAdam": OptimizerKind(
        module="pytorch_optimizer",
        name="DAdaptAdam",
        package="pytorch-optimizer",
        adaptive=True,
        arguments={**DECAY, "weight_decouple": True},
    ),
    "DAdaptLion": OptimizerKind(
        module="pytorch_optimizer",
        name="DAdaptLion",
        package="pytorch-optimizer",
        adaptive=True,
        arguments={**DECAY, "weight_decouple": True, "betas": (0.9, 0.99)},  # as Lion's paper and dadaptation have them
    ),
    "Prodigy": OptimizerKind(
        module="prodigyopt", name="Prodigy", package="prodigyopt", adaptive=True, arguments=PRODIGY
    ),
    "ScheduleFreeAdamW": OptimizerKind(
        module="pytorch_optimizer",
        name="ScheduleFreeAdamW",
        package="pytorch-optimizer",
        averaging=True,
        arguments=DECAY,
    ),
}
TEXT_SHARE = 0.2
"""A text encoder learns at a fifth of the UNet's rate if no other is given."""
RESERVED = {
    "lr": "it is set by unet_lr",
    "relative_step": "it would leave unet_lr and scheduler without effect",
    "warmup_init": "it acts only with relative_step; use warmup_steps",
    "warmup_steps": "it is set by warmup_steps of [train]",
    "maximize": "it would make the loss grow",
    "nesterov": "SGDNesterov always has it",
    "dampening": "Nesterov's momentum goes without",
}
INTERNAL = {
    "self", "params", "kwargs", "args", "foreach", "fused", "capturable", "differentiable", "fsdp_in_use", "optim_bits",
    "is_paged", "min_8bit_size",
}  # fmt: skip
"""Parameters of the libraries' classes that are their machinery and no choice here."""


def suited_rate(optimizer: str, adamw_rate: float | None) -> float | None:
    """The UNet's learning rate where none is given: 1 for an adaptive optimizer, None where none is known to suit.

    `adamw_rate` suits the algorithm with AdamW, None where none is known.
    """
    kind = KINDS[optimizer]
    if kind.adaptive:
        return 1.0
    return None if adamw_rate is None or kind.rate is None else adamw_rate * kind.rate


def no_rate(optimizer: str, algorithm: str, adamw_rate: float | None) -> tuple[str, str] | None:
    """(why no learning rate is known to suit, what to type); None where one is."""
    if suited_rate(optimizer, adamw_rate) is not None:
        return None
    if KINDS[optimizer].rate is None:
        return (
            f"optimizer {optimizer} has no learning rate that suits in general",
            "give unet_lr; it is far higher than AdamW's",
        )
    return (
        f"algorithm {algorithm} has no learning rate with {optimizer} that a published training is known to have used",
        'give unet_lr, or use an optimizer that finds it, such as optimizer = "Prodigy"',
    )


def refuse_missing(optimizer: str) -> None:
    """See that an optimizer's library is installed, without loading it.

    Raises:
        PrepError: it is not.
    """
    kind = KINDS[optimizer]
    library = kind.module.partition(".")[0]
    if library in sys.modules and sys.modules[library] is None and (why := import_failure(library)):
        raise _broken(optimizer, why)
    if find_spec(library) is None:
        raise PrepError(
            f"optimizer {optimizer} needs {kind.package}, which is not installed",
            f'pip install "lora-prep[optimizers]", or only: pip install -U {kind.package}',
        )


def load_class(optimizer: str) -> type[Optimizer]:
    """The class behind the name.

    Raises:
        PrepError: its library is not installed, or has no such class.
    """
    kind = KINDS[optimizer]
    if why := import_failure(kind.module.partition(".")[0]):
        raise _broken(optimizer, why)
    try:
        found: type[Optimizer] = getattr(import_module(kind.module), kind.name)
        return found
    except (ImportError, AttributeError) as error:
        raise PrepError(
            f"optimizer {optimizer} needs {kind.package}: {error}",
            f'pip install "lora-prep[optimizers]", or only: pip install -U {kind.package}',
        ) from error


def _broken(optimizer: str, why: str) -> PrepError:
    package = KINDS[optimizer].package
    return PrepError(
        f"optimizer {optimizer} needs {package}, which is installed but cannot be imported: {why}",
        f'mend it with: pip install -U {package}, or use optimizer = "AdamW"',
    )


def read_arguments(optimizer: str, given: Mapping[str, str]) -> dict[str, Any]:
    """What the optimizer is built with beside the rates: its defaults here, then what was given, each of its type.

    Raises:
        PrepError: the optimizer has no such argument, or the text is not of its type.
    """
    kind = KINDS[optimizer]
    signature = inspect.signature(load_class(optimizer)).parameters
    known = {
        name: kind.arguments.get(name, parameter.default)
        for name, parameter in signature.items()
        if name not in INTERNAL and name not in RESERVED
    }
    arguments = dict(kind.arguments)
    for name, text in given.items():
        if name in RESERVED:
            raise PrepError(f"train: optimizer_args has {name} = {text!r}, but {RESERVED[name]}", f"leave out {name}")
        if name not in known:
            raise PrepError(
                f"train: optimizer_args has {name} = {text!r}, but {optimizer} has no such argument",
                "mend the name" + suggest(name, sorted(known)),
            )
        try:
            arguments[name] = read_value(text, known[name])
        except ValueError as error:
            raise PrepError(
                f"train: optimizer_args has {name} = {text!r}, expected {error}",
                f"its default in {optimizer} is {known[name]!r}",
            ) from None
    return arguments


def read_value(text: str, default: Any) -> Any:
    """Take a text as what `default` is; where that is None as a truth value or a number.

    Raises:
        ValueError: it is none; the message says what is expected.
    """
    word = text.strip().lower()
    if isinstance(default, bool) or (default is None and word in ("true", "false")):
        if word not in ("true", "false"):
            raise ValueError("true or false")
        return word == "true"
    if isinstance(default, tuple):
        parts = word.strip("()").split(",")
        if len(parts) != len(default):
            raise ValueError(f"{len(default)} numbers with commas between")
        return tuple(read_value(part, each) for part, each in zip(parts, default, strict=True))
    if isinstance(default, int):
        try:
            return int(word)
        except ValueError:
            raise ValueError("a whole number") from None
    try:
        return float(word)
    except ValueError:
        raise ValueError("a number") from None


def make_optimizer(optimizer: str, groups: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]) -> Optimizer:
    """Build the optimizer over groups {"params", "lr"}; torch's AdamW in its fused form, one kernel for all weights.

    Raises:
        PrepError: the library refuses a value.
    """
    built = load_class(optimizer)
    everything: dict[str, Any] = {"lr": groups[0]["lr"], **arguments} | (
        {"fused": True} if optimizer == "AdamW" else {}
    )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # prodigyopt prints, and results alone go to stdout
            return built([dict(group) for group in groups], **everything)
    except (ValueError, TypeError, RuntimeError) as error:
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise PrepError(
            f"optimizer {optimizer}({shown}) refuses its arguments: {error}", "mend optimizer_args in [train]"
        ) from error


def effective_rates(optimizer: Optimizer) -> list[float]:
    """The learning rate of each group as it acts: of an adaptive one its own estimate d times the one that was set."""
    return [float(group["lr"] * group.get("d", 1.0)) for group in optimizer.param_groups]


def restore(optimizer: Optimizer, state: Any) -> None:
    """Put back what `optimizer.state_dict()` gave; tensors that stand in the groups follow the weights' device."""
    optimizer.load_state_dict(state)
    for group in optimizer.param_groups:
        place = group["params"][0].device
        group.update({key: value.to(place) for key, value in group.items() if hasattr(value, "untyped_storage")})


def eval_mode_now(optimizer: Optimizer) -> None:
    """Leave in the weights what is to be used: an averaging optimizer's average."""
    average = getattr(optimizer, "eval", None)
    if average is not None:
        average()


@contextlib.contextmanager
def eval_mode(optimizer: Optimizer, weights: Sequence[Tensor]) -> Iterator[None]:
    """Have in the weights, while a block looks at them or saves them, what is to be used; afterwards they are as they were
    to the bit, which an averaging optimizer's own way back does not give."""
    if getattr(optimizer, "eval", None) is None:
        yield
        return
    before = [weight.detach().clone() for weight in weights]
    eval_mode_now(optimizer)
    try:
        yield
    finally:
        optimizer.train()  # type: ignore[attr-defined]
        for weight, held in zip(weights, before, strict=True):
            weight.data.copy_(held)


def described(optimizer: str, arguments: Mapping[str, Any]) -> str:
    """Its class and arguments, as kohya's trainer writes them into metadata."""
    shown = ",".join(f"{name}={value}" for name, value in arguments.items())
    kind = KINDS[optimizer]
    return f"{kind.module}.{kind.name}({shown})"
