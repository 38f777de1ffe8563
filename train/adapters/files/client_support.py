"""Which client shows which layer as it was trained, at every strength, and what is wrong where it does not."""

from __future__ import annotations

from train.adapters.files.layer import Layer


def incompatibility(client: str, layer: Layer) -> str:
    """What the client does wrong with the layer, "" where it does nothing wrong."""
    if client == "diffusers" and not layer.kind.plain:
        return f"only plain LoRA is loaded, not {layer.algorithm}"
    return layer.weights.incompatibility(client)
