"""What a training run is asked to do: plain values, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.config.settings import convert, declared, suggest
from pipeline.core.errors import PrepError
from train.optimization.optimizers import KINDS, TEXT_SHARE, suited_rate
from train.options.caption_conflicts import caption_conflicts
from train.options.conflicts import conflicts
from train.options.validation import out_of_range


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Options of `prep train`."""

    base: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    """Base model of SD 1.x, 2.x or SDXL: a single .safetensors or .ckpt file, a folder in diffusers format, a hub
    repository, or `miniature`, the tiny one in the package."""
    revision: str | None = None
    """Revision of the hub repository to pin; the newest when empty."""
    vae: str | None = None
    """Another VAE instead of the base model's own: a folder, a hub repository (OWNER/NAME@REVISION pins it), or a single
    file."""
    tokenizer: Path | None = None
    """Folder of CLIP's vocabulary (vocab.json and merges.txt), which a single file lacks; the hub's if not given."""
    prediction: Literal["auto", "epsilon", "v_prediction"] = "auto"
    """What the UNet predicts, the noise or the velocity; auto reads it from the base model's files and asks where they do
    not tell."""
    name: str = "adapter"
    """Name of the run: files go to SET/runs/NAME, the adapter is NAME.safetensors."""
    algorithm: Literal["lora", "locon", "loha", "lokr", "glora", "full", "norm", "oft", "ia3", "dylora", "boft"] = (
        "lora"
    )
    """lora adapts the transformer layers, locon the convolutions too; so do loha with Hadamard products, lokr with
    Kronecker products, glora with changes of input and output, full with whole differences and oft with rotations. norm
    trains normalization layers, ia3 one number a channel. Experimental: dylora, good at every rank, and boft."""
    rank: int = 16
    """Rank (network dim) of linear layers."""
    alpha: float = 8.0
    """Alpha of linear layers; the adapter acts with alpha / rank."""
    conv_rank: int = 8
    """Rank of convolutions larger than 1×1."""
    conv_alpha: float = 4.0
    """Alpha of convolutions larger than 1×1."""
    convolutions: Literal["auto", "yes", "no"] = "auto"
    """Adapt the UNet's resnet, down- and upsampling layers too; auto does, but with lora and ia3."""
    train_norm: bool = False
    """Train the UNet's normalization layers too."""
    factor: int = -1
    """LoKr: the smaller side of the Kronecker product; 2 and 4 make large adapters, -1 the smallest. 0
    or 1 leaves nothing but the large side, as a LoRA does."""
    decompose_both: bool = False
    """LoKr: give the small factor a low rank too, where that is smaller."""
    full_matrix: bool = False
    """LoKr: leave both factors whole; rank and alpha then do nothing."""
    dora: bool = False
    """Train each input channel's magnitude apart from the direction (DoRA; lora, locon, loha and lokr)."""
    rank_stabilized: bool = False
    """Act with alpha / √rank instead of alpha / rank, so that high ranks learn as fast as low ones."""
    tucker: bool = False
    """Decompose large convolutions further, with a small core (locon, loha and lokr)."""
    rank_unit: int = 4
    """DyLoRA: ranks that learn together; an adapter can be cut to any multiple of it."""
    rank_dropout: float = 0.0
    """Share of ranks that is left out at each step; 0.1 to 0.3 is usual."""
    module_dropout: float = 0.0
    """Share of layers that go without their adapter at each step; 0.1 to 0.3 is usual."""
    network_dropout: float = 0.0
    """Share of the values between an adapter's factors that is left out, for each image anew; where there are none
    between, of those it adds."""
    blocks: Mapping[str, float] = field(default_factory=dict)
    """Share of the learning rate for blocks by name, such as { IN = 0.2, OUT05 = 1.0 }; 0 leaves a block out. IN00 to IN11,
    M00, OUT00 to OUT11, IN, MID and OUT for all of a section, BASE for the text encoder."""
    block_ranks: Mapping[str, int] = field(default_factory=dict)
    """Another rank for all layers of the blocks named."""
    block_alphas: Mapping[str, float] = field(default_factory=dict)
    """Another alpha for all layers of the blocks named."""
    network_weights: Path | None = None
    """An adapter to go on training from, of the same algorithm, ranks and kind of base model."""
    train_text_encoder: bool = False
    """Adapt the text encoder as well, with SDXL both."""
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
    """What turns gradients into new weights. Prodigy and the DAdapt ones find the learning rate by themselves; the 8bit
    ones take a quarter of the memory."""
    optimizer_args: Mapping[str, str] = field(default_factory=dict)
    """More arguments of the optimizer, such as d_coef = "0.5" for Prodigy or betas = "0.9,0.99"."""
    unet_lr: float | None = None
    """Learning rate of the UNet's adapter; what suits the optimizer and the algorithm if not given: with AdamW 5e-4 for
    lora, 2e-4 for locon, loha and lokr, 3e-5 for oft and boft, 5e-3 for ia3, 2.5e-6 for full; with Lion a fifth of these,
    with an adaptive optimizer 1, which is multiplied with the rate it finds."""
    text_encoder_lr: float | None = None
    """Learning rate of the text encoder's adapter; a fifth of the UNet's if not given, the same with an adaptive
    optimizer."""
    text_encoder_2_lr: float | None = None
    """Learning rate of the adapter of SDXL's second text encoder; the first one's if not given."""
    scheduler: (
        Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"] | None
    ) = None
    """How the learning rate moves over the run; cosine if not given, constant with an adaptive or schedule-free
    optimizer."""
    warmup_steps: int = 0
    """Updates over which the learning rate rises at the start (all schedulers but constant)."""
    warmup_share: float = 0.0
    """The same as a share of the run: 0.1 is a tenth."""
    num_cycles: int = 1
    """How often cosine_with_restarts starts from the top."""
    power: float = 1.0
    """Exponent of the polynomial scheduler; 1 is linear, 2 falls fast at first."""
    min_lr_ratio: float = 0.0
    """Share of the learning rate at which a falling schedule ends."""
    batch_size: int = 4
    """Images a batch; matched regularization images come on top."""
    epochs: int = 10
    """Passes over the set, each as long as the repeats make it."""
    steps: int | None = None
    """Stop after this many batches instead of after whole epochs."""
    gradient_accumulation_steps: int = 1
    """Batches whose gradients are added up before each update; 0 takes as many as the set has buckets, so that an update
    sees about all of them."""
    prior_loss_weight: float = 1.0
    """Weight of a regularization image's loss beside its image's; 0 leaves the regularization images out."""
    weighting: Literal["min-snr", "debiased", "none"] = "min-snr"
    """How timesteps are weighed: min-snr holds nearly clean ones back, debiased lets noisy ones, where an image is
    composed, count most (good for characters in few steps), none weighs all alike."""
    min_snr_gamma: float = 5.0
    """Cap on the signal-to-noise ratio for min-snr; 5 in the paper."""
    loss: Literal["l2", "l1", "huber", "smooth_l1"] = "l2"
    """How a wrong prediction counts: by its square, by its size, or, with huber and smooth_l1, by its square while small
    and by its size beyond huber_c, so that a few damaged or odd images pull less."""
    huber_c: float = 0.1
    """Where huber and smooth_l1 go over from square to size, at the noisiest timesteps."""
    huber_schedule: Literal["snr", "exponential", "constant"] = "snr"
    """How that place moves over the timesteps: down from 1 with the signal-to-noise ratio or exponentially, or not."""
    noise_offset: float = 0.0
    """Strength of a noise equal all over an image, with which dark and bright images are learned better; 0.05 to 0.1
    is usual, 0 leaves it out."""
    noise_offset_random: bool = False
    """Draw the strength of the offset anew for every exposure, from 0 to noise_offset."""
    adaptive_noise_scale: float = 0.0
    """What is added to noise_offset for each unit of the latent's mean; the sum is at least 0."""
    multires_iterations: int = 0
    """Layers of ever coarser noise that are added, with which large shapes and contrasts are learned better; 6 is usual,
    0 leaves it out."""
    multires_discount: float = 0.3
    """What each coarser layer counts beside the one before; 0.1 to 0.3 for adapters."""
    ip_noise_gamma: float = 0.0
    """Strength of extra noise in what the UNet sees and need not predict; 0.1 in the paper, 0 leaves it out."""
    zero_terminal_snr: bool = False
    """Let the noise schedule end in pure noise, for base models of v-prediction made so; with min-snr the last timesteps
    count almost nothing, so prefer debiased or none."""
    shuffle_tags: bool = True
    """Shuffle a caption's tags each time it is shown, but for the first ones."""
    keep_tags: int | None = None
    """How many tags stay in front, never moved nor left out; each caption's trigger words if not given. A caption that
    holds keep_separator says so itself."""
    keep_separator: str = "|||"
    """Mark in a caption: the tags before it stay in front, those after a second one at the end. It is never read."""
    group_separator: str = ""
    """Mark between tags that are moved and left out as one, such as ;;; in `black hair;;;long hair`; read as a comma."""
    tag_dropout: float = 0.0
    """Share of the tags behind the kept ones that is left out, others each time."""
    tag_warmup_steps: int = 0
    """Batches over which the tags come in one after the other, the first ones first."""
    tag_warmup_share: float = 0.0
    """The same as a share of the run: 0.1 is a tenth; epoch by epoch where the run is so many epochs."""
    tag_warmup_min: int = 1
    """How many tags behind the kept ones are there from the start of such a warm-up."""
    caption_dropout: float = 0.0
    """Share of exposures with an empty caption."""
    caption_dropout_epochs: int = 0
    """Every how many epochs all captions are empty; 0 for never."""
    caption_lines: Literal["all", "one"] = "all"
    """all reads a caption of several lines as one, with commas between; one draws a line each time it is shown."""
    wildcards: bool = False
    """Read {a|b|c} in a caption as one of its parts, drawn each time it is shown; {{ and }} stand for braces."""
    caption_prefix: str = ""
    """Text put before every image's caption, with a comma; regularization images keep the caption they were made from."""
    caption_suffix: str = ""
    """Text put behind every image's caption, with a comma; regularization images keep the caption they were made from."""
    max_tokens: Literal[75, 150, 225] = 75
    """Tokens of a caption that are read, 75 at a time, parted at commas as A1111 and Forge do it."""
    clip_skip: int = 1
    """Text layer used, counted from the last."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are scaled down to it; 0 leaves them."""
    scale_weight_norms: float = 0.0
    """Largest norm of what a layer's adapter adds to its weights; 1 is usual, 0 leaves them."""
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    """Precision of the base model's weights and arithmetic; the adapter itself stays in float32."""
    vae_precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Precision of the VAE's arithmetic when latents are cached: auto is fp16 on a GPU with mixed_precision, else fp32.
    Images that overflow in it are encoded again in fp32."""
    gradient_checkpointing: bool = False
    """Save memory by computing activations twice."""
    export_for: Literal["universal", "a1111", "forge", "comfyui", "diffusers", "as-trained"] = "universal"
    """Programs that are to show the adapter as it was trained: layers they could not show are rewritten exactly. universal
    is A1111, Forge and ComfyUI."""
    save_checkpoint: bool = False
    """Write the base model with the adapter merged in too, merged-NAME, in the layout of the base model."""
    save_precision: Literal["fp32", "fp16", "bf16"] = "fp16"
    """Precision of the saved adapter."""
    processes: int = 1
    """Processes that train together, each on its share of every batch; with GPUs one for each GPU."""
    flip: bool = False
    """Show every second showing of an image mirrored, but for images whose caption says left or right."""
    flip_guard: tuple[str, ...] = ("left", "right")
    """Words in a caption that keep its image from being mirrored; words for what a character has on one side only
    belong here too."""
    color_jitter: float = 0.0
    """Most that brightness, contrast, saturation and hue are changed, as a share; 0.1 is slight. Not for characters who
    are known by their colours."""
    random_crop: bool = False
    """Move the crop of an image about within what its bucket cuts off, instead of the one place that was chosen."""
    face_crop: tuple[float, float] | None = None
    """Least and most by which an image is enlarged around its subject, such as [1.0, 1.5]; none leaves it whole."""
    variants: int = 4
    """How many different views of an image color_jitter, random_crop and face_crop make; all are cached."""
    validation: Literal["auto", "held-out", "training", "none"] = "auto"
    """What the loss is measured on at fixed noises and timesteps: images held out of training, a fixed part of those
    trained on, or nothing. auto holds images out of sets of 200 or more."""
    validation_share: float = 0.05
    """Share of every concept's images that is held out; near-duplicates stay on one side."""
    validation_images: int = 16
    """Most images that are looked at on either side, every concept in turn."""
    validation_times: int = 4
    """Timesteps, evenly spread, at which each of them is looked at."""
    validation_noises: int = 1
    """Noises with which each of them is looked at."""
    validation_every: int = 0
    """Batches between two looks; 0 looks where a snapshot is saved, and at start and end."""
    patience: int = 0
    """Stop after so many looks without a better one; 0 never does."""
    save_every_epochs: int = 0
    """Save a snapshot of the adapter after every so many epochs; 0 for none."""
    save_every_steps: int = 0
    """Save a snapshot of the adapter after every so many batches; 0 for none."""
    keep_last: int = 0
    """How many snapshots are kept, the best always among them; 0 keeps all."""
    sample_prompts: tuple[str, ...] = ()
    """Prompts painted while training, in kohya's syntax: text, then --n negative, --w width, --h height, --d seed,
    --s steps, --l guidance. What is left out is no negative, the commonest bucket's size, a seed of the prompt's own, 30
    steps, guidance 7.5."""
    sample_file: Path | None = None
    """A text file of such prompts, one a line; # begins a comment. Or a TOML or JSON file as kohya's trainer reads it."""
    sample_every_epochs: int = 0
    """Epochs between two paintings of them; with sample_every_steps 0 too, they are painted where snapshots are saved,
    and at start and end."""
    sample_every_steps: int = 0
    """Batches between two paintings of them."""
    tensorboard: bool = False
    """Write the run's figures for TensorBoard too."""
    save_state_every: int = 200
    """Batches between saved states, or a few more, up to the next update; a killed run goes on from the last one."""
    preset: str | None = None
    """Settings from published notes, below those of prep.toml and the flags; what belongs to another optimizer or algorithm
    than the one given goes with it. alea-lora, alea-locon, alea-loha, alea-loha-fast, alea-loha-cosine,
    alea-loha-half-text, alea-loha-clip2, alea-loha-dadapt, alea-loha-32, alea-loha-32-fast, alea-loha-32-half;
    roukin8-loha, roukin8-locon, roukin8-checkpoint; comparison-lora, comparison-lora-text, comparison-lora-32,
    comparison-lora-32-text, comparison-locon, comparison-locon-32, comparison-loha, comparison-loha-6,
    comparison-lokr-0, comparison-lokr-2, comparison-lokr-4, comparison-glora, comparison-oft; tutorial-locon;
    easy-dadaptadam, easy-prodigy; notes-character, notes-character-few, notes-character-adaptive, notes-style,
    notes-style-out, notes-concept, notes-concept-in, notes-skin, notes-lokr, notes-ia3, notes-sdxl-character."""
    suggest: Literal["A", "B", "C", "D", "E", "F", "G", "H", "I"] | None = None
    """Take the rank by how difficult a character is, over a preset's and below prep.toml's, and half of it as alpha where
    nothing else gives one: 8 for A, simple and realistic women; 16 for B, unusual faces, hair or clothes; 32 for C, very
    elaborate details, wings, tails; 64 for D, humanoids, furry characters, real people, and E, chibi bodies with two arms
    and legs; 128 for F, animals, humanoid robots, ornate armour, and G, mechs, aliens, many limbs; 192 for H, robots of
    other shapes, monsters, insects; 256 for I, eldritch ones. For SD 1.x; a quarter does on SDXL."""
    replay: Path | None = None
    """run.json of an earlier run to be done again under another name, with its settings but for those given as flags; what
    differs from it is said."""
    seed: int = 420
    """Decides order, noise, timesteps, shuffles and the adapter's first weights."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        found = [*out_of_range(self), *conflicts(self), *caption_conflicts(self)]
        if found:
            raise PrepError(
                "\n".join(f"train: {message}" for message, _ in found), "\n".join(hint for _, hint in found)
            )

    @staticmethod
    def layers(values: Mapping[str, Any]) -> tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]:
        """Settings that lie below prep.toml and above it: the preset's and the rank suggested, and those of the run that is
        done again."""
        below = above = ("", dict[str, Any]())
        if values.get("preset") is not None or values.get("suggest") is not None:
            from train.options.presets import chosen_layer

            below = chosen_layer(values)
        if values.get("replay"):
            from train.run.run_record import settings_again

            above = ("replay", typed(settings_again(Path(values["replay"]))))
        return below, above

    @property
    def schedule(self) -> str:
        """The scheduler given, or the one that suits the optimizer."""
        if self.scheduler is not None:
            return self.scheduler
        if not (KINDS[self.optimizer].adaptive or KINDS[self.optimizer].averaging):
            return "cosine"
        return "constant_with_warmup" if self.warmup_steps or self.warmup_share else "constant"

    @property
    def rates(self) -> tuple[float, float]:
        """Learning rates of the UNet and of the text encoder: given, or those that suit."""
        unet = self.unet_lr or suited_rate(self.optimizer, self.algorithm)
        assert unet is not None, "the conflicts have refused it"
        return unet, self.text_encoder_lr or unet * (1.0 if KINDS[self.optimizer].adaptive else TEXT_SHARE)


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON can hold it; `recipe_of` takes it back."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(recipe).items()}


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """A recipe from values as JSON or TOML hold them.

    Raises:
        PrepError: a value is unknown, of a wrong type or out of range; all that are unknown or of a wrong type at once.
    """
    return Recipe(**typed(values))


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a recipe with values as JSON or TOML hold them, each as the type that it is declared with.

    Raises:
        PrepError: some are unknown or of a wrong type; all of them are named.
    """
    known = {setting.name: setting for setting in declared(Recipe)}
    problems, taken = [], dict[str, Any]()
    for key, value in values.items():
        if key not in known:
            problems.append(f"{key} is no option of prep train{suggest(key, known)}")
        elif value is None and known[key].optional:
            taken[key] = None
        else:
            try:
                taken[key] = convert(value, known[key].kind)
            except ValueError as error:
                problems.append(f"{key} is {value!r}: {error}")
    if problems:
        raise PrepError("\n".join(problems), "it may be of another version of prep")
    return taken
