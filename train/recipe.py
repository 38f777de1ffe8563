"""What a training run is asked to do: plain values, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import PrepError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Options of `prep train`."""

    base: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    """Base model: a folder in diffusers format, a hub repository, or `miniature`, the tiny one in the package."""
    revision: str | None = None
    """Revision of the hub repository to pin; the newest when empty."""
    name: str = "adapter"
    """Name of the run: files go to SET/runs/NAME, the adapter is NAME.safetensors."""
    algorithm: Literal["lora", "locon", "loha"] = "lora"
    """lora adapts the transformer layers, locon the convolutions too, loha both with Hadamard products."""
    rank: int = 16
    """Rank (network dim) of linear layers."""
    alpha: float = 8.0
    """Alpha of linear layers; the adapter acts with alpha / rank."""
    conv_rank: int = 8
    """Rank of convolutions (locon and loha)."""
    conv_alpha: float = 4.0
    """Alpha of convolutions (locon and loha)."""
    train_text_encoder: bool = False
    """Adapt the text encoder as well."""
    learning_rate: float = 5e-4
    """Learning rate of the UNet's adapter."""
    text_learning_rate: float = 1e-4
    """Learning rate of the text encoder's adapter."""
    scheduler: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "cosine"
    """How the learning rate moves over the run."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises at the start (all schedulers but constant)."""
    batch_size: int = 4
    """Pictures a batch; matched regularization pictures come on top."""
    epochs: int = 10
    """Passes over the set, each as long as the multipliers make it."""
    steps: int | None = None
    """Stop after this many batches instead of after whole epochs."""
    accumulate: int = 1
    """Batches whose gradients are added up before each update."""
    prior_loss_weight: float = 1.0
    """Weight of a regularization twin's loss beside its picture's; 0 leaves the twins out."""
    weighting: Literal["min-snr", "debiased", "none"] = "min-snr"
    """How timesteps are weighed: min-snr holds nearly clean ones back, debiased lets noisy ones, where a picture is
    composed, count most (good for characters in few steps), none weighs all alike."""
    min_snr_gamma: float = 5.0
    """Cap on the signal-to-noise ratio for min-snr; 5 in the paper."""
    shuffle_tags: bool = True
    """Shuffle a caption's tags each time it is shown, but for the first ones."""
    keep_tags: int | None = None
    """How many tags stay in front when shuffling; each caption's trigger words if not given."""
    caption_dropout: float = 0.0
    """Share of showings with an empty caption."""
    clip_skip: int = 1
    """Text layer used, counted from the last."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are scaled down to it; 0 leaves them."""
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    """Precision of the base model's arithmetic; the adapter itself stays in float32."""
    gradient_checkpointing: bool = False
    """Save memory by computing activations twice."""
    save_precision: Literal["fp32", "fp16", "bf16"] = "fp16"
    """Precision of the saved adapter."""
    state_every: int = 200
    """Steps between saved states; a killed run goes on from the last one."""
    seed: int = 420
    """Decides order, noise, timesteps, shuffles and the adapter's first weights."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        checks = (
            ("rank", self.rank >= 1, "at least 1"),
            ("conv_rank", self.conv_rank >= 1, "at least 1"),
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("text_learning_rate", self.text_learning_rate > 0, "above 0"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("epochs", self.epochs >= 1, "at least 1"),
            ("steps", self.steps is None or self.steps >= 1, "at least 1"),
            ("accumulate", self.accumulate >= 1, "at least 1"),
            ("prior_loss_weight", self.prior_loss_weight >= 0, "0 or more"),
            ("keep_tags", self.keep_tags is None or self.keep_tags >= 0, "0 or more"),
            ("min_snr_gamma", self.min_snr_gamma > 0, "above 0"),
            ("caption_dropout", 0 <= self.caption_dropout <= 1, "from 0 to 1"),
            ("clip_skip", self.clip_skip >= 1, "at least 1"),
            ("max_grad_norm", self.max_grad_norm >= 0, "0 or more"),
            ("state_every", self.state_every >= 1, "at least 1"),
            ("warmup_steps", self.warmup_steps >= 0, "0 or more"),
            (
                "name",
                bool(self.name) and not set(self.name) & set('/\\:*?"<>|') and self.name.strip(". ") == self.name,
                "a plain file name",
            ),
        )
        for field, holds, needed in checks:
            if not holds:
                raise PrepError(
                    f"train: {field} is {getattr(self, field)!r}, it must be {needed}",
                    f"set {field} in [train] or on the command line",
                )
        if self.warmup_steps and self.scheduler == "constant":
            raise PrepError(
                f"train: warmup_steps is {self.warmup_steps}, but the constant scheduler has no warm-up",
                'use scheduler = "constant_with_warmup"',
            )
