"""Which client shows which layer as it was trained, at every strength, and what is wrong where it does not."""

from __future__ import annotations

from train.adapters.files.layer import Layer


def objection(client: str, layer: Layer) -> str:
    """What the client does wrong with the layer, "" where it does nothing wrong."""
    return {"a1111": _a1111, "forge": _forge, "comfyui": _comfyui, "diffusers": _diffusers}[client](layer)


def _a1111(layer: Layer) -> str:
    if layer.dora == "output":
        return "DoRA along the output axis is taken for the input axis"
    if layer.algorithm == "glora":
        return "GLoRA is read in an older layout only"
    if layer.algorithm == "norm" and not {"w_norm", "b_norm"} <= layer.tensors.keys():
        return "a norm needs both w_norm and b_norm"
    if layer.algorithm == "ia3" and layer.tensors["weight"].dim() > 1 and not bool(layer.tensors["on_input"]):
        return "(IA)³ on the outputs of a convolution stops it"
    return ""


def _comfyui(layer: Layer) -> str:
    if layer.dora == "output":
        return "DoRA along the output axis is scaled by the norm of the unchanged weight"
    if layer.algorithm == "ia3":
        return "(IA)³ is not known"
    if layer.algorithm == "lokr" and layer.tucker:
        return "LoKr with a Tucker core is not applied"
    if layer.algorithm in ("oft", "boft"):
        if layer.alpha:
            return "the limit of the rotation is taken for another"
        if layer.algorithm == "oft" and "rescale" in layer.tensors:
            return "the rescaling of OFT is left out"
        return "rotations take the strength twice, so they are right at strength 1 only"
    return ""


def _forge(layer: Layer) -> str:
    return "OFT is not known" if layer.algorithm in ("oft", "boft") else _comfyui(layer)


def _diffusers(layer: Layer) -> str:
    if layer.algorithm != "lora":
        return f"only plain LoRA is loaded, not {layer.algorithm}"
    if layer.tucker:
        return "a Tucker core (lora_mid) is refused"
    return "DoRA's magnitudes are dropped" if layer.dora else ""
