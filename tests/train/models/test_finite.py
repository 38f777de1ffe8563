from dataclasses import replace

import pytest
import torch

from pipeline.core.errors import PrepError
from train.models.finite import refuse_not_finite
from train.models.load import load_base


@pytest.mark.parametrize(("part", "said"), [("unet", "unet: "), ("vae", "vae: "), ("text", "text encoder 1: ")])
def test_a_tensor_of_the_base_model_that_is_not_finite_is_named_not_the_images(part, said):
    base = load_base("miniature", device="cpu")
    refuse_not_finite(base)
    module = {"unet": base.unet, "vae": base.vae, "text": base.text_encoders[0]}[part]
    name, weight = next(iter(module.named_parameters()))
    weight.data.view(-1)[:2] = torch.tensor([float("nan"), float("inf")])
    with pytest.raises(PrepError, match="base model miniature holds numbers that are not finite") as caught:
        refuse_not_finite(replace(base))
    assert f"{said}{name} (2 of {weight.numel()} numbers)" in caught.value.message
    assert "the images are not to blame" in caught.value.hint
