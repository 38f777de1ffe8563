"""Options of optimization: the optimizer and its learning rates, the schedule, the loss, the noise. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.config.rules import Problem, above, at_least, idle_unless, needs, option, share
from pipeline.core.filenames import fits_concept
from train.optimization.optimizers import KINDS, TEXT_SHARE, suited_rate
from train.optimization.schedules import DECAYING, warmup_updates

Pair = Literal["noise", "timestep", "bucket"]
Pairing = Literal["auto", "noise", "timestep", "bucket"]


@dataclass(frozen=True, slots=True)
class PriorWeights:
    """The weight of the loss of regularization images: for concepts by pattern, the first that fits, and for all others."""

    default: float = 1.0
    by_concept: Mapping[str, float] = field(default_factory=dict)

    def of(self, concept: str) -> float:
        fitting = (weight for pattern, weight in self.by_concept.items() if fits_concept(concept, pattern))
        return next(fitting, self.default)


LEAST_MULTIPLIER = 0.01
"""An adaptive optimizer multiplies its learning rate by unet_lr; a value below this was meant for another optimizer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerOptions:
    optimizer: Literal[
        "AdamW",
        "AdamW8bit",
        "Lion",
        "Lion8bit",
        "SGDNesterov",
        "AdaFactor",
        "DAdaptAdam",
        "DAdaptLion",
        "Prodigy",
        "ScheduleFreeAdamW",
    ] = "AdamW"
    """The optimizer. Prodigy and the DAdapt ones adapt the learning rate by themselves; the 8bit ones take a quarter of
    the memory."""
    optimizer_args: Mapping[str, str] = option(dict)
    """More arguments of the optimizer, such as d_coef = "0.5" for Prodigy or betas = "0.9,0.99"."""
    unet_lr: float | None = option(None, at_least(0))
    """Learning rate of the UNet's adapter; what suits the optimizer and the algorithm if not given: with AdamW 5e-4 for
    lora, 2e-4 for locon, loha and lokr, 3e-5 for oft and boft, 5e-3 for ia3, 2.5e-6 for full; with Lion a fifth of these,
    with an adaptive optimizer 1, a factor on the learning rate it finds. 0 leaves the UNet out."""
    text_encoder_lr: float | None = option(None, at_least(0))
    """Learning rate of the text encoder's adapter; a fifth of the UNet's if not given, the same with an adaptive
    optimizer. 0 leaves it out."""
    text_encoder_2_lr: float | None = option(None, at_least(0))
    """Learning rate of the adapter of SDXL's second text encoder; the first one's if not given, 0 leaves it out."""
    max_grad_norm: float = option(1.0, at_least(0))
    """Clip the gradient norm to this; 0 turns it off."""

    @property
    def adaptive(self) -> bool:
        """Whether the optimizer finds its learning rate by itself."""
        return KINDS[self.optimizer].adaptive

    @property
    def averaging(self) -> bool:
        """Whether its result is an average of the weights along the way (schedule-free)."""
        return KINDS[self.optimizer].averaging

    def lrs(self, adamw_rate: float | None) -> tuple[float, float]:
        """Learning rates of the UNet and of the text encoder: given, or those that suit an algorithm's with AdamW."""
        suited = suited_rate(self.optimizer, adamw_rate)
        unet = suited if self.unet_lr is None else self.unet_lr
        assert unet is not None, "the conflicts have refused it"
        if self.text_encoder_lr is not None:
            return unet, self.text_encoder_lr
        return unet, (unet or suited or 0.0) * (1.0 if self.adaptive else TEXT_SHARE)

    def problems(self) -> Iterator[Problem]:
        """Rates that an adaptive optimizer cannot use."""
        if not self.adaptive:
            return
        if self.unet_lr and self.unet_lr < LEAST_MULTIPLIER:
            yield (
                f"unet_lr is {self.unet_lr}, but {self.optimizer} adapts its learning rate by itself and "
                "multiplies it by unet_lr",
                "leave unet_lr out, which is 1, or give 0.1 to 2",
            )
        for name, rate in (("text_encoder_lr", self.text_encoder_lr), ("text_encoder_2_lr", self.text_encoder_2_lr)):
            if rate not in (None, 0, self.unet_lr or 1.0):
                yield (
                    f"{name} is {rate}, but {self.optimizer} adapts one learning rate for all weights",
                    f"leave {name} out, or use another optimizer",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    scheduler: (
        Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"] | None
    ) = None
    """Learning rate schedule; cosine if not given, constant with an adaptive or schedule-free
    optimizer."""
    warmup_steps: int = option(0, at_least(0))
    """Optimizer updates of warm-up at the start (all schedulers but constant)."""
    warmup_share: float = option(0.0, share())
    """The same as a share of the run: 0.1 is a tenth."""
    num_cycles: int = option(1, at_least(1), needs("scheduler", "cosine_with_restarts"))
    """Cosine cycles of cosine_with_restarts."""
    power: float = option(1.0, above(0), needs("scheduler", "polynomial"))
    """Exponent of the polynomial scheduler; 1 is linear, 2 falls fast at first."""
    min_lr_ratio: float = option(0.0, share(), needs("scheduler", *DECAYING))
    """Final learning rate of a decaying schedule, as a share of the learning rate."""

    def chosen(self, optimizer: str) -> str:
        """The scheduler given, or the one that suits the optimizer."""
        if self.scheduler is not None:
            return self.scheduler
        if not (KINDS[optimizer].adaptive or KINDS[optimizer].averaging):
            return "cosine"
        return "constant_with_warmup" if self.warmup_steps or self.warmup_share else "constant"

    def never_reached(self, scheduler: str, updates: int) -> Iterator[Problem]:
        """What takes longer than the run, which makes so many updates.

        Args:
            scheduler: the one that is used, given or not.
        """
        warmup = warmup_updates(self.warmup_steps, self.warmup_share, updates) if scheduler != "constant" else 0
        if warmup >= updates:
            name = "warmup_steps" if self.warmup_steps else "warmup_share"
            yield (
                f"{name} is {getattr(self, name)}, {warmup} updates of warm-up, but the run makes {updates}: the learning rate "
                "would rise to the end, and never be held or lowered",
                "give a tenth of the run, warmup_share = 0.1, or train for longer",
            )
        elif scheduler == "cosine_with_restarts" and self.num_cycles > 1 and updates - warmup < 2 * self.num_cycles:
            yield (
                f"num_cycles is {self.num_cycles}, but the run makes {updates - warmup} updates after the warm-up: a cycle of "
                "less than 2 never lowers the learning rate",
                f"give at most {max(1, (updates - warmup) // 2)}, or train for longer",
            )

    def problems(self) -> Iterator[Problem]:
        """Warm-ups that are said twice, or that the scheduler does not have."""
        if self.warmup_steps and self.warmup_share:
            yield (
                f"warmup_steps is {self.warmup_steps} and warmup_share {self.warmup_share}: both say how long",
                "give one",
            )
        if (self.warmup_steps or self.warmup_share) and self.scheduler == "constant":
            name = "warmup_steps" if self.warmup_steps else "warmup_share"
            yield (
                f"{name} is {getattr(self, name)}, but the constant scheduler has no warm-up",
                'use scheduler = "constant_with_warmup"',
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveOptions:
    prior_loss_weight: float = option(1.0, at_least(0))
    """Weight of the loss of regularization images; 0 leaves them out."""
    prior_loss_weights: Mapping[str, float] = option(
        dict,
        idle_unless("prior_loss_weight", why="prior_loss_weight is 0", hint="leave it out, or give prior_loss_weight"),
    )
    """The same for single concepts, by pattern, such as "artists/*" = 0; the first that fits goes before prior_loss_weight."""
    reg_pair: Pairing = option(
        "auto",
        idle_unless("prior_loss_weight", why="prior_loss_weight is 0", hint="leave it out, or give prior_loss_weight"),
    )
    """What a regularization image shares with the image that it is shown beside: its timestep and noise (noise), its timestep
    (timestep), or its bucket alone (bucket); auto is noise for those made for their image, and bucket for others."""
    reg_share: float = option(
        1.0,
        above(0, at_most=1),
        idle_unless("prior_loss_weight", why="prior_loss_weight is 0", hint="leave it out, or give prior_loss_weight"),
    )
    """Share of the exposures of an image in which its regularization image is shown beside it; 0.5 takes a quarter less time."""
    batch_loss: Literal["nominal", "mean"] = "nominal"
    """What the sum of a batch's losses is divided by: nominal is batch_size, so that an image in a partial batch counts as much
    as any other; mean is the samples that are there, regularization images too, as in kohya-ss/sd-scripts."""
    weighting: Literal["min-snr", "debiased", "none"] = "min-snr"
    """Loss weight of timesteps: min-snr limits those with little noise, debiased favours noisy ones, where the composition
    is learned (good for characters in few steps), none weighs all alike."""
    min_snr_gamma: float = option(5.0, above(0), needs("weighting", "min-snr"))
    """Cap on the signal-to-noise ratio for min-snr; 5 in the paper."""
    loss: Literal["l2", "l1", "huber", "smooth_l1"] = "l2"
    """Loss function: squared error (l2), absolute error (l1), or, with huber and smooth_l1, squared up to huber_c and
    absolute beyond it, so that outliers such as damaged images count less."""
    huber_c: float = option(0.1, above(0, at_most=1), needs("loss", "huber", "smooth_l1"))
    """Error at which huber and smooth_l1 change from squared to absolute, at the noisiest timestep."""
    huber_schedule: Literal["snr", "exponential", "constant"] = option("snr", needs("loss", "huber", "smooth_l1"))
    """How huber_c changes over the timesteps: from 1 down with the signal-to-noise ratio, exponentially, or not at all."""

    @property
    def prior(self) -> PriorWeights:
        """The weights of regularization images, by concept."""
        return PriorWeights(self.prior_loss_weight, self.prior_loss_weights)

    def problems(self) -> Iterator[Problem]:
        """Weights that are none."""
        for pattern, weight in self.prior_loss_weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                yield f"prior_loss_weights: {pattern} = {weight}", "give 0 or more; 0 leaves them out"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseOptions:
    noise_offset: float = option(0.0, at_least(0))
    """Strength of the noise offset, which helps with dark and bright images; 0.05 to 0.1 is usual, 0 turns it off."""
    noise_offset_random: bool = option(
        False, idle_unless("noise_offset", why="changes noise_offset, which is 0", hint="set noise_offset = 0.05")
    )
    """Draw the strength of the noise offset from 0 to noise_offset, anew for every exposure."""
    adaptive_noise_scale: float = option(
        0.0, idle_unless("noise_offset", why="changes noise_offset, which is 0", hint="set noise_offset = 0.05")
    )
    """Added to noise_offset in proportion to the absolute mean of the latent; the sum is at least 0."""
    multires_iterations: int = option(0, at_least(0))
    """Levels of multi-resolution (pyramid) noise, which helps with large shapes and contrast; 6 is usual, 0 turns it off."""
    multires_discount: float = option(
        0.3,
        above(0, at_most=1),
        idle_unless(
            "multires_iterations",
            why="does nothing while multires_iterations is 0",
            hint="set multires_iterations = 6",
        ),
    )
    """Weight of each coarser level of the noise relative to the one before; 0.1 to 0.3 for adapters."""
    ip_noise_gamma: float = option(0.0, at_least(0))
    """Strength of input perturbation: noise in the UNet's input that is not part of its target; 0.1 in the paper, 0 turns
    it off."""
    zero_terminal_snr: bool = False
    """Rescale the noise schedule to zero terminal SNR, for v-prediction base models trained so; with min-snr the last timesteps
    count almost nothing, so prefer debiased or none."""

    def problems(self) -> Iterator[Problem]:
        """Options that correct the same problem and should not be combined."""
        if self.noise_offset and self.multires_iterations:
            yield (
                "noise_offset and multires_iterations both strengthen the noise's low frequencies; together they overdo it",
                "leave one of them out",
            )
        yield from noise_conflicts(self, self.zero_terminal_snr)


def noise_conflicts(noise: NoiseOptions, zero_terminal: bool) -> tuple[Problem, ...]:
    """What cannot be beside a schedule of zero-terminal SNR, whether it was asked for or is the base model's own."""
    if not (zero_terminal and (noise.noise_offset or noise.multires_iterations)):
        return ()
    name = "noise_offset" if noise.noise_offset else "multires_iterations"
    whose = "zero_terminal_snr" if noise.zero_terminal_snr else "the zero-terminal SNR of the base model"
    other = ", or zero_terminal_snr" if noise.zero_terminal_snr else ""
    return (
        (
            f"{name} and {whose} correct the same problem, and a sampler starts from plain noise, which {name} would keep from "
            "the last timestep",
            f"leave out {name}{other}",
        ),
    )


def schedule_notes(
    objective: ObjectiveOptions, noise: NoiseOptions, prediction: str, own_zero_terminal: bool
) -> tuple[str, ...]:
    """What to know of the base model's noise schedule; `own_zero_terminal` says that the model has it by itself."""
    if noise.zero_terminal_snr or own_zero_terminal:
        whose = "zero_terminal_snr" if noise.zero_terminal_snr else "the base model's own schedule"
        weighted = "; min-snr gives its last timesteps almost no weight: prefer debiased or none"
        return (f"trained to zero-terminal SNR ({whose}){weighted if objective.weighting == 'min-snr' else ''}",)
    if prediction == "v_prediction":
        return (
            "the base model is of v-prediction and says nothing of zero-terminal SNR; if it was trained so, as many are, "
            "use zero_terminal_snr = true",
        )
    return ()
