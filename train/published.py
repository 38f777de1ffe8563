"""All that an adapter's file says of itself, put together of what each part of the recipe has to say."""

from __future__ import annotations

from train.adapters.metadata import as_texts, prep_version
from train.options.recipe import Recipe
from train.run.adapter_metadata import (
    TrainedFacts,
    arithmetic_metadata,
    caption_metadata,
    data_metadata,
    model_metadata,
    network_metadata,
    objective_metadata,
    optimization_metadata,
    run_metadata,
    spec_metadata,
)
from train.run.model_files import model_file


def adapter_metadata(recipe: Recipe, facts: TrainedFacts) -> dict[str, str]:
    """The `ss_*` keys kohya's trainer writes and readers look for, and the model spec's. All values are strings.

    Nothing tells when it was made, so that a run done again gives the same bytes; run.json does.
    """
    run, schedule, (unet, text) = recipe.run, recipe.schedule, recipe.lrs
    rates, vae = (unet, text if recipe.adapter.train_text_encoder else None), recipe.model.vae
    return as_texts(
        {
            **network_metadata(recipe.adapter),
            **model_metadata(model_file(recipe.model.base), model_file(vae) if vae else None, facts),
            **run_metadata(run.name, run.seed, facts),
            **optimization_metadata(rates, recipe.scheduler, (schedule.warmup_steps, schedule.warmup_share), facts),
            **arithmetic_metadata(recipe.precision, recipe.optimizer.max_grad_norm, recipe.adapter.scale_weight_norms),
            **objective_metadata(recipe.objective, recipe.noise, facts.zero_terminal_snr),
            **caption_metadata(recipe.captions, recipe.text),
            **data_metadata(recipe.augmentation, recipe.batches.batch_size, run.processes, facts),
            **spec_metadata(run.name, recipe.text.clip_skip, facts),
            "prep_version": prep_version(),
            "prep_base_digest": facts.base_digest,
        }
    )
