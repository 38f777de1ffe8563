"""Files of other trainers for SD 1.x, as lists of keys."""

from __future__ import annotations

BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
LDM = "input_blocks.1.1.transformer_blocks.0"
TEXT = "encoder.layers.0.self_attn.q_proj"
LINEARS = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "attn2.to_k", "attn2.to_v")
AB = ("lora_A.weight", "lora_B.weight")


def keys(start: str, paths, tails) -> list[str]:
    return [f"{start}{path}.{tail}" for path in paths for tail in tails]


UNET = [f"{BLOCK}.{path}" for path in LINEARS]
ORIGINAL = [f"{LDM}.{path}" for path in LINEARS]
KOHYA = ("lora_down.weight", "lora_up.weight", "alpha")
FILES = {
    "kohya": keys("lora_unet_", [path.replace(".", "_") for path in UNET], KOHYA),
    "diffusers A and B": keys("unet.", UNET, AB),
    "diffusers down and up": keys("unet.", UNET, ("lora.down.weight", "lora.up.weight")),
    "transformers 5": keys("unet.", UNET, AB) + keys("text_encoder.", [TEXT], AB),
    "peft": keys("base_model.model.", UNET, AB),
    "original": keys("", ORIGINAL, AB),
    "original with unet": keys("unet.", ORIGINAL, KOHYA) + keys("clip_l.", [f"text_model.{TEXT}"], KOHYA),
    "comfyui": keys("diffusion_model.", ORIGINAL, AB)
    + keys("text_encoders.clip_l.transformer.text_model.", [TEXT], AB),
    "internal": keys("lora_unet.", UNET, KOHYA) + keys("lora_te.", [f"text_model.{TEXT}"], KOHYA),
    "processors": [
        f"{BLOCK}.{attention}.processor.{projection}_lora.{half}.weight"
        for attention in ("attn1", "attn2")
        for projection in ("to_q", "to_k", "to_v", "to_out")
        for half in ("down", "up")
    ],
    "SD 1.x in LDM names": keys("lora_unet_", [path.replace(".", "_") for path in ORIGINAL], KOHYA),
}
