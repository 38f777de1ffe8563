"""The input and the output of an open model, checked against its spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taggers.errors import TaggerError
from taggers.inference import fits, misfit
from taggers.labels import WD_COLUMNS, columns
from taggers.spec import OVERRIDES, ModelSpec

LARGEST_SIDE = 4096
LARGEST_BATCH = 1024
USUAL_OUTPUTS = ("prediction", "predictions", "predictions_sigmoid", "output")
"""What the output with the probabilities is called where several are as wide as there are labels."""


def input_port(runtime: Any, spec: ModelSpec, model: Path, labels: Path) -> tuple[str, int, int]:
    """(name, side in pixels, batch size it insists on or 0) of the model's one image input.

    Raises:
        TaggerError: it takes something else than the spec says, or what it takes does not show.
    """
    inputs = runtime.get_inputs()
    shape = list(inputs[0].shape)
    layout = "NHWC" if len(shape) == 4 and shape[3] == 3 else "NCHW" if len(shape) == 4 and shape[1] == 3 else "neither"
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or layout == "neither":
        wanted = "; ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise TaggerError(
            f"{model} takes {wanted}; a tagger takes one float image with 3 channels", "name another model"
        )
    if not spec.declared and (layout != "NHWC" or columns(labels) != WD_COLUMNS):
        raise TaggerError(
            f"{model.parent} holds no tagger of the WD family, and what another wants does not show",
            f'write a {OVERRIDES} beside it: like = "joytag", or another tagger it is like; or one to a line, such as: '
            f'layout = "{layout}", channels = "RGB", scale = 1.0, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5], '
            'activation = "sigmoid"',
        )
    if layout != spec.layout:
        raise TaggerError(
            f"{model} takes {layout}, not {spec.layout} as declared", f'write layout = "{layout}" in its {OVERRIDES}'
        )
    sides = [each if isinstance(each, int) else spec.side for each in (shape[1:3] if layout == "NHWC" else shape[2:])]
    if sides[0] != sides[1] or not 16 <= sides[0] <= LARGEST_SIDE:
        raise TaggerError(
            f"{model} takes images of {shape}; a square side from 16 to {LARGEST_SIDE} is needed",
            f"where the model leaves it open, write it in {OVERRIDES}, such as: side = 448",
        )
    fixed = shape[0] if isinstance(shape[0], int) else 0
    if fixed > LARGEST_BATCH:
        raise TaggerError(f"{model} insists on batches of {fixed}", "export it with a free batch dimension")
    return inputs[0].name, sides[0], fixed


def output_port(runtime: Any, spec: ModelSpec, labels: int, model: Path) -> str:
    """The name of the output that holds the scores.

    Raises:
        TaggerError: there is no such output, or it does not show which one it is.
    """
    outputs: dict[str, list[Any]] = {each.name: list(each.shape) for each in runtime.get_outputs()}
    if spec.output:
        if spec.output not in outputs:
            raise TaggerError(f"{model} has no output {spec.output!r}", f"its outputs are: {', '.join(outputs)}")
        return spec.output
    fitting = [
        name
        for name, shape in outputs.items()
        if len(shape) == 2 and isinstance(shape[1], int) and fits(shape[1], labels, spec)
    ]
    usual = [name for name in USUAL_OUTPUTS if name in fitting] if spec.activation == "none" else []
    if len(fitting) == 1 or usual:
        return usual[0] if usual else fitting[0]
    if not fitting and len(outputs) == 1:
        ((name, shape),) = outputs.items()
        if len(shape) == 2 and isinstance(shape[1], int):
            raise misfit(spec, shape[1], labels)
        return name
    raise TaggerError(
        f"{model} has {len(outputs)} outputs ({', '.join(outputs)}) and {len(fitting)} of them "
        f"as wide as the {labels} labels",
        f'name one in {OVERRIDES}, such as: output = "prediction"',
    )
