"""What each number of a recipe may be, by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.core.filenames import safe

if TYPE_CHECKING:
    from train.options.recipe import Recipe


def out_of_range(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to do) for every option that is out of its range."""
    checks = (
        ("rank", recipe.rank >= 1, "at least 1"),
        ("conv_rank", recipe.conv_rank >= 1, "at least 1"),
        ("alpha", recipe.alpha > 0, "above 0"),
        ("conv_alpha", recipe.conv_alpha > 0, "above 0"),
        ("factor", recipe.factor >= -1, "-1 or more"),
        ("rank_unit", recipe.rank_unit >= 1, "at least 1"),
        ("rank_dropout", 0 <= recipe.rank_dropout < 1, "0 or more and below 1"),
        ("module_dropout", 0 <= recipe.module_dropout < 1, "0 or more and below 1"),
        ("network_dropout", 0 <= recipe.network_dropout < 1, "0 or more and below 1"),
        ("unet_lr", recipe.unet_lr is None or recipe.unet_lr > 0, "above 0"),
        ("text_encoder_lr", recipe.text_encoder_lr is None or recipe.text_encoder_lr > 0, "above 0"),
        (
            "text_encoder_2_lr",
            recipe.text_encoder_2_lr is None or recipe.text_encoder_2_lr > 0,
            "above 0",
        ),
        ("batch_size", recipe.batch_size >= 1, "at least 1"),
        ("epochs", recipe.epochs >= 1, "at least 1"),
        ("steps", recipe.steps is None or recipe.steps >= 1, "at least 1"),
        (
            "gradient_accumulation_steps",
            recipe.gradient_accumulation_steps >= 0,
            "at least 1, or 0 for as many as there are buckets",
        ),
        ("prior_loss_weight", recipe.prior_loss_weight >= 0, "0 or more"),
        ("keep_tags", recipe.keep_tags is None or recipe.keep_tags >= 0, "0 or more"),
        ("min_snr_gamma", recipe.min_snr_gamma > 0, "above 0"),
        ("huber_c", 0 < recipe.huber_c <= 1, "above 0 and at most 1"),
        ("noise_offset", recipe.noise_offset >= 0, "0 or more"),
        ("multires_iterations", recipe.multires_iterations >= 0, "0 or more"),
        ("multires_discount", 0 < recipe.multires_discount <= 1, "above 0 and at most 1"),
        ("ip_noise_gamma", recipe.ip_noise_gamma >= 0, "0 or more"),
        ("caption_dropout", 0 <= recipe.caption_dropout <= 1, "from 0 to 1"),
        ("clip_skip", recipe.clip_skip >= 1, "at least 1"),
        ("max_grad_norm", recipe.max_grad_norm >= 0, "0 or more"),
        ("scale_weight_norms", recipe.scale_weight_norms >= 0, "0 or more"),
        ("save_state_every", recipe.save_state_every >= 1, "at least 1"),
        ("warmup_steps", recipe.warmup_steps >= 0, "0 or more"),
        ("warmup_share", 0 <= recipe.warmup_share < 1, "0 or more and below 1"),
        ("num_cycles", recipe.num_cycles >= 1, "at least 1"),
        ("power", recipe.power > 0, "above 0"),
        ("min_lr_ratio", 0 <= recipe.min_lr_ratio < 1, "0 or more and below 1"),
        (
            "name",
            bool(recipe.name) and safe(recipe.name) == recipe.name and recipe.name.strip(". ") == recipe.name,
            "a plain file name",
        ),
        ("processes", recipe.processes >= 1, "at least 1"),
        ("color_jitter", 0 <= recipe.color_jitter <= 0.5, "from 0 to 0.5"),
        (
            "face_crop",
            recipe.face_crop is None or 1 <= recipe.face_crop[0] <= recipe.face_crop[1] <= 4,
            "two numbers from 1 to 4, the smaller one first",
        ),
        ("variants", 2 <= recipe.variants <= 64, "from 2 to 64"),
        ("validation_share", 0 < recipe.validation_share <= 0.5, "above 0 and at most 0.5"),
        ("validation_images", recipe.validation_images >= 1, "at least 1"),
        ("validation_times", 1 <= recipe.validation_times <= 1000, "from 1 to 1000"),
        ("validation_noises", recipe.validation_noises >= 1, "at least 1"),
        ("validation_every", recipe.validation_every >= 0, "0 or more"),
        ("patience", recipe.patience >= 0, "0 or more"),
        ("save_every_epochs", recipe.save_every_epochs >= 0, "0 or more"),
        ("save_every_steps", recipe.save_every_steps >= 0, "0 or more"),
        ("keep_last", recipe.keep_last >= 0, "0 or more"),
        ("sample_every_epochs", recipe.sample_every_epochs >= 0, "0 or more"),
        ("sample_every_steps", recipe.sample_every_steps >= 0, "0 or more"),
    )
    for name, holds, needed in checks:
        if not holds:
            yield (
                f"{name} is {getattr(recipe, name)!r}, it must be {needed}",
                f"set {name} in [train] or on the command line",
            )
