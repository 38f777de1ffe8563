import pytest
import torch
from safetensors.torch import save_file
from small_models import INPUTS, PRODUCTS, moved, parameters_of, small_text, small_unet
from tolerance import BFLOAT16, near

from pipeline.core.errors import PrepError
from train.adapters.adapter import Adapter, AdapterConfig, read_adapter
from train.adapters.inject.targets import TRANSFORMER, targets

CONVOLUTIONAL_ONES = ("locon", "loha", "lokr", "glora", "full", "oft", "dylora", "boft", "norm")


@pytest.mark.parametrize("algorithm", ["lora", "ia3", *CONVOLUTIONAL_ONES])
def test_a_new_adapter_changes_nothing_and_a_trained_one_can_be_saved_and_brought_back(algorithm, tmp_path):
    unet, text = small_unet(), small_text()
    inputs = INPUTS
    before = unet(*inputs).sample
    convolutions = algorithm in CONVOLUTIONAL_ONES
    config = AdapterConfig(algorithm=algorithm, rank=4, alpha=1.0, convolutions=convolutions, conv_rank=4)
    adapter = Adapter(config, unet, text)
    adapter.attach()
    assert torch.equal(unet(*inputs).sample, before)
    moved(adapter)
    after = unet(*inputs).sample
    assert not torch.allclose(after, before, atol=1e-3)
    adapter.set_strength(0.0)
    assert torch.equal(unet(*inputs).sample, before)
    adapter.detach()
    assert torch.equal(unet(*inputs).sample, before)

    save_file(adapter.tensors(), tmp_path / "a.safetensors", {"ss_network_dim": "2"})
    tensors, metadata = read_adapter(tmp_path / "a.safetensors")
    again = Adapter(config, unet, text)
    again.load(tensors)
    again.attach()
    assert metadata["ss_network_dim"] == "2"
    assert torch.equal(unet(*inputs).sample, after)


def test_a_lora_file_renders_as_its_readers_compute_it():
    unet = small_unet()
    adapter = Adapter(AdapterConfig(algorithm="lora", rank=2, alpha=1.0), unet, small_text())
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.copy_(torch.randn_like(weight) * 0.3)
    inputs = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 16)
    adapter.attach()
    trained = unet(*inputs).sample
    adapter.detach()
    tensors = adapter.tensors()
    with torch.no_grad():
        for path, layer in targets(unet, TRANSFORMER):
            name = "lora_unet_" + path.replace(".", "_")
            up, down = tensors[f"{name}.lora_up.weight"], tensors[f"{name}.lora_down.weight"]
            scale = tensors[f"{name}.alpha"].item() / down.shape[0]
            layer.weight += scale * (up.flatten(1) @ down.flatten(1)).reshape(layer.weight.shape)
    assert near(unet(*inputs).sample, trained, PRODUCTS)


def test_text_encoder_layers_are_adapted_only_when_asked():
    unet, text = small_unet(), small_text()
    without = Adapter(AdapterConfig(algorithm="lora", rank=2, alpha=1.0), unet, text)
    along = Adapter(AdapterConfig(algorithm="lora", rank=2, alpha=1.0, text_encoder=True), unet, text)
    assert not parameters_of(without, "te")
    assert len(parameters_of(along, "te")) == 2 * 12
    assert len(parameters_of(along, "unet")) == len(parameters_of(without, "unet"))


def test_a_file_of_another_rank_is_refused_by_name():
    unet, text = small_unet(), small_text()
    small, large = (Adapter(AdapterConfig(algorithm="lora", rank=rank, alpha=1.0), unet, text) for rank in (2, 4))
    with pytest.raises(PrepError, match=r"does not fit.*lora_unet_"):
        small.load(large.tensors())


def test_something_that_is_no_safetensors_file_is_refused(tmp_path):
    (tmp_path / "evil.safetensors").write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(PrepError, match="not a readable safetensors file"):
        read_adapter(tmp_path / "evil.safetensors")


@pytest.mark.parametrize("algorithm", ["lora", "ia3", *CONVOLUTIONAL_ONES])
def test_the_deltas_merged_into_the_weights_give_the_adapted_output(algorithm):
    unet = small_unet()
    config = AdapterConfig(
        algorithm=algorithm, rank=4, alpha=2.0, convolutions=algorithm in CONVOLUTIONAL_ONES, train_norm=True
    )
    adapter = moved(Adapter(config, unet, small_text()))
    adapter.attach()
    adapted = unet(*INPUTS).sample
    adapter.detach()
    changes = {name: adapter.delta(name) for name in adapter.layers}
    with torch.no_grad():
        for name, (weight, bias) in changes.items():
            layer = adapter.wrappers[name].base_layer.layer
            layer.weight += weight
            if bias is not None:
                layer.bias += bias
    assert near(unet(*INPUTS).sample, adapted, PRODUCTS)


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora", "full", "oft", "ia3", "boft", "dylora", "norm"])
def test_a_file_is_attached_by_what_it_holds_without_being_reported_its_configuration(algorithm):
    unet, text = small_unet(), small_text()
    plain = AdapterConfig(algorithm=algorithm, rank=4, alpha=2.0, text_encoder=True)
    adapter = moved(Adapter(plain, unet, text))
    again = Adapter.of_tensors(adapter.tensors(), plain, unet, text)
    adapter.attach()
    wanted = unet(*INPUTS).sample
    adapter.detach()
    again.attach()
    assert torch.equal(unet(*INPUTS).sample, wanted)
    again.detach()


def test_a_file_of_another_model_or_size_or_of_nothing_known_is_refused_by_name():
    unet, text = small_unet(), small_text()
    config = AdapterConfig(algorithm="lora", rank=2, alpha=1.0)
    tensors = Adapter(config, unet, text).tensors()
    name = next(iter(tensors)).partition(".")[0]
    with pytest.raises(PrepError, match="changes lora_unet_elsewhere, which the base model has not"):
        Adapter.of_tensors({"lora_unet_elsewhere.alpha": torch.tensor(1.0)}, config, unet, text)
    with pytest.raises(PrepError, match=f"{name} holds alpha, which is no known algorithm"):
        Adapter.of_tensors({f"{name}.alpha": torch.tensor(1.0)}, config, unet, text)
    key = f"{name}.lora_up.weight"
    with pytest.raises(PrepError, match=rf"{name} is \[17, .*in the adapter and \[16"):
        Adapter.of_tensors(tensors | {key: torch.zeros(17, *tensors[key].shape[1:])}, config, unet, text)


def test_a_file_with_another_alpha_is_refused_and_one_in_half_precision_is_not():
    unet, text = small_unet(), small_text()
    adapter = Adapter(AdapterConfig(algorithm="lora", rank=3, alpha=0.7), unet, text)
    adapter.load({key: value.float() for key, value in adapter.tensors(torch.float16).items()})
    other = Adapter(AdapterConfig(algorithm="lora", rank=3, alpha=1.4), unet, text)
    with pytest.raises(PrepError, match=r"the first is lora_unet_.*alpha"):
        other.load(adapter.tensors())


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora", "full"])
def test_what_is_added_beside_a_base_model_in_half_precision_keeps_its_small_values(algorithm, dora):
    """A change a thousand times smaller than the weights; added to them in bfloat16, most of it would be rounded away."""
    if dora and algorithm in ("glora", "full"):
        pytest.skip("has no magnitude")
    torch.manual_seed(0)
    unet = small_unet().requires_grad_(False)
    adapter = Adapter(
        AdapterConfig(algorithm=algorithm, rank=4, alpha=4.0, convolutions=True, dora=dora), unet, small_text()
    )
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.mul_(1 + 1e-3 * torch.randn_like(weight)).add_(torch.randn_like(weight) * 1e-3)
        unet.to(torch.bfloat16)
        for end in ("resnets_0_conv2", "attn1_to_k"):
            name = next(name for name in adapter.wrappers if name.endswith(end))
            wrapper = adapter.wrappers[name]
            base_layer = wrapper.base_layer
            x = torch.randn((2, 16, 8, 8) if base_layer.convolution else (2, 9, 16)).to(torch.bfloat16)
            delta, bias = adapter.delta(name)
            exact = base_layer.apply(x.float(), delta, bias)
            lost = (base_layer.weight + delta.to(torch.bfloat16)).float() - base_layer.weight.float()
            assert (base_layer.apply(x.float(), lost, bias) - exact).norm() / exact.norm() > 0.05
            base_layer.plain = lambda x: torch.zeros(())  # so that what is added stands by itself
            assert (wrapper(x).float() - exact).norm() / exact.norm() < 5 * BFLOAT16, (
                "input, two factors, output and sum"
            )


def test_the_text_encoders_of_a_model_with_two_are_reported_apart():
    unet, text = small_unet(), small_text()
    adapter = Adapter(AdapterConfig(algorithm="lora", rank=2, alpha=1.0, text_encoder=True), unet, text, small_text())
    assert len(parameters_of(adapter, "te")) == 2 * len(parameters_of(adapter, "te1")) == 4 * 12
    assert any(name == "lora_te2_text_model_encoder_layers_1_mlp_fc2" for name in adapter.layers)


def test_an_adapter_in_figures_says_modules_scales_and_numbers():
    adapter = Adapter(
        AdapterConfig(algorithm="locon", rank=4, alpha=2.0, convolutions=True, conv_rank=2, text_encoder=True),
        small_unet(),
        small_text(),
    )
    unet, text = adapter.describe()
    assert (text.part, text.modules, text.scales) == ("te", 12, ((2.0, 4, 12),))
    assert unet.modules + text.modules == len(adapter.layers)
    assert unet.parameters + text.parameters == sum(weight.numel() for weight in adapter.parameters())
    assert str(text) == "te: 12 modules, 1,792 parameters, scale 2/4 = 0.5 (12)"


def test_a_second_adapter_on_the_same_layers_adds_to_the_first():
    unet, text = small_unet(), small_text()
    one, other = (
        moved(Adapter(AdapterConfig(algorithm=kind, rank=2, alpha=1.0), unet, text)) for kind in ("lora", "lokr")
    )
    one.attach()
    other.attach()
    both = unet(*INPUTS).sample
    other.detach()
    one.detach()
    with torch.no_grad():
        for name in one.layers:
            one.wrappers[name].base_layer.weight.add_(one.delta(name)[0] + other.delta(name)[0])
    assert near(unet(*INPUTS).sample, both, PRODUCTS)


@pytest.mark.parametrize("options", [{}, {"dora": True}], ids=["plain", "dora"])
@pytest.mark.parametrize("algorithm", ["lora", "ia3", *CONVOLUTIONAL_ONES])
def test_every_algorithm_learns_beside_a_base_model_in_half_precision(algorithm, options):
    if options and algorithm not in ("lora", "locon", "loha", "lokr"):
        pytest.skip("has no magnitude")
    torch.manual_seed(0)
    unet = small_unet().requires_grad_(False)
    convolutions = algorithm in CONVOLUTIONAL_ONES
    config = AdapterConfig(
        algorithm=algorithm, rank=4, alpha=4.0, convolutions=convolutions, train_norm=True, **options
    )
    adapter = moved(Adapter(config, unet, small_text()))
    adapter.attach()
    exact = unet(*INPUTS).sample
    for part in unet.children():
        part.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        half = unet(*INPUTS).sample
    half.float().square().mean().backward()
    assert (half - exact).norm() / exact.norm() < 25 * BFLOAT16, "twenty-odd layers"
    for name, weight in adapter.named_parameters():
        assert weight.dtype is torch.float32 and weight.grad is not None and weight.grad.isfinite().all(), name


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora", "oft", "dylora"])
def test_gradients_are_the_same_with_checkpointing_dropouts_included(algorithm):
    unet = small_unet().requires_grad_(False)
    dropouts = {"module_dropout": 0.2, "network_dropout": 0.2} | (
        {} if algorithm in ("oft", "dylora") else {"rank_dropout": 0.2}
    )
    adapter = moved(
        Adapter(AdapterConfig(algorithm=algorithm, rank=4, alpha=4.0, unit=2, **dropouts), unet, small_text())
    )
    adapter.attach()
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            unet.enable_gradient_checkpointing()
        unet.train()
        with adapter.dropping((7,), [("a",)]):
            unet(*INPUTS).sample.square().mean().backward()
        found.append([None if weight.grad is None else weight.grad.clone() for weight in adapter.parameters()])
        adapter.zero_grad()
    assert all(
        near(one, other, PRODUCTS) if one is not None else other is None for one, other in zip(*found, strict=True)
    )
    assert any(grad is None for grad in found[0]), "a module was left out"
