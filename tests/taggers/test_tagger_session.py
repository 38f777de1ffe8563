from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from taggers import session
from taggers.errors import TaggerError
from taggers.session import CPU, CUDA, open_session, runtime_clash

Make = Callable[..., Path]


class Runtime:
    """An ONNX Runtime that lists CUDA and lets a session have the providers it is asked to."""

    __version__ = "1.99"

    def __init__(self, works: bool, listed: tuple[str, ...] = (CUDA, CPU), said: str = "") -> None:
        self.works, self.listed, self.said = works, listed, said
        self.SessionOptions = lambda: SimpleNamespace(add_session_config_entry=lambda key, value: None)

    def get_available_providers(self) -> list[str]:
        return list(self.listed)

    def InferenceSession(self, path: str, options: object, providers: list[object]) -> SimpleNamespace:
        wanted = [each[0] if isinstance(each, tuple) else each for each in providers]
        if CUDA in wanted and not self.works:
            import os

            os.write(2, self.said.encode())
            wanted = [CPU]
        return SimpleNamespace(get_providers=lambda: wanted)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend a runtime, a number of GPUs and the packages installed."""

    def pretend(runtime: Runtime, gpus: int = 1, packages: tuple[str, ...] = ("onnxruntime-gpu",)) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
        trouble = "" if gpus else "no NVIDIA driver is installed here"
        monkeypatch.setattr(session, "cuda_devices", lambda: (gpus, trouble))
        monkeypatch.setattr(session, "installed_runtimes", lambda: packages)

    return pretend


def test_auto_takes_the_gpu_where_there_is_one_and_says_which_provider_runs(machine: Callable[..., None]) -> None:
    machine(Runtime(works=True))
    opened = open_session(Path("m.onnx"), "auto")
    assert (opened.provider, opened.on_gpu, opened.warnings) == (CUDA, True, ())
    assert open_session(Path("m.onnx"), "cpu").provider == CPU


def test_without_a_driver_auto_is_the_cpu_and_cuda_is_an_error(machine: Callable[..., None]) -> None:
    machine(Runtime(works=True), gpus=0)
    assert open_session(Path("m.onnx"), "auto").provider == CPU
    with pytest.raises(TaggerError, match=r"device is cuda, but no NVIDIA driver is installed here") as caught:
        open_session(Path("m.onnx"), "cuda")
    assert caught.value.hint == "give --device cpu, or auto to take what there is"


def test_a_gpu_that_cannot_be_used_is_reported_with_the_runtimes_own_words(machine: Callable[..., None]) -> None:
    said = "[E:onnxruntime] Failed to load library with error: libcublasLt.so.13: cannot open\n"
    machine(Runtime(works=False, said=said))
    with pytest.raises(TaggerError, match=r"ONNX Runtime cannot use it: .*libcublasLt.so.13: cannot open") as caught:
        open_session(Path("m.onnx"), "cuda:0")
    assert "onnxruntime-gpu[cuda,cudnn]" in caught.value.hint
    opened = open_session(Path("m.onnx"), "auto")
    assert opened.provider == CPU
    assert "running on the CPU, ONNX Runtime cannot use the GPU" in opened.warnings[0]


def test_a_runtime_without_cuda_and_a_gpu_that_is_not_there_are_errors(machine: Callable[..., None]) -> None:
    machine(Runtime(works=True, listed=(CPU,)))
    with pytest.raises(TaggerError, match=r"the installed ONNX Runtime 1.99 has no CUDA; onnxruntime-gpu has"):
        open_session(Path("m.onnx"), "cuda")
    machine(Runtime(works=True), gpus=1)
    with pytest.raises(TaggerError, match=r"device is cuda:3, but the driver counts 1 GPU, the first is cuda:0"):
        open_session(Path("m.onnx"), "cuda:3")


def test_two_packages_at_once_warn_on_the_cpu_and_refuse_cuda(machine: Callable[..., None]) -> None:
    machine(Runtime(works=True), packages=("onnxruntime", "onnxruntime-gpu"))
    line = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    assert line in open_session(Path("m.onnx"), "cpu").warnings[0]
    with pytest.raises(TaggerError, match=r"onnxruntime and onnxruntime-gpu are installed together") as caught:
        open_session(Path("m.onnx"), "cuda")
    assert caught.value.hint == line


def test_packages_are_found_by_their_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(*names: str) -> None:
        monkeypatch.setattr(
            "importlib.metadata.distributions", lambda: [SimpleNamespace(metadata={"Name": name}) for name in names]
        )

    installed("numpy", "onnxruntime_gpu", "onnxruntime", "onnx")
    assert session.installed_runtimes() == ("onnxruntime", "onnxruntime-gpu")
    installed("numpy", "onnxruntime-gpu")
    assert runtime_clash() is None


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "CPU", ""])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(TaggerError, match=f"device is '{device}'") as caught:
        open_session(Path("m.onnx"), device)
    assert caught.value.hint == (
        "give auto, cpu, cuda, cuda:1 for the second GPU, or migraphx, rocm, directml, coreml, openvino, tensorrt"
    )


def test_a_file_that_is_no_model_is_refused(tiny: Make) -> None:
    file = tiny() / "model.onnx"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(TaggerError, match=r"is no model that ONNX Runtime .* can open") as caught:
        open_session(file, "cpu")
    assert "delete it and fetch it again" in caught.value.hint


def test_other_devices_are_used_by_name_where_the_package_has_them(machine: Callable[..., None]) -> None:
    machine(runtime=Runtime(works=True, listed=("CoreMLExecutionProvider", CPU)))
    opened = open_session(Path("m.onnx"), "coreml")
    assert (opened.provider, opened.on_gpu) == ("CoreMLExecutionProvider", True)
    assert open_session(Path("m.onnx"), "auto").provider == CPU, "it may be slower than the CPU"


def test_auto_takes_directml_where_the_package_has_it(machine: Callable[..., None]) -> None:
    machine(runtime=Runtime(works=False, listed=("DmlExecutionProvider", CPU)))
    assert open_session(Path("m.onnx"), "auto").provider == "DmlExecutionProvider"


def test_a_device_that_the_package_lacks_is_an_error_with_the_package_that_has_it(machine: Callable[..., None]) -> None:
    machine(runtime=Runtime(works=True))
    with pytest.raises(TaggerError, match="has no DmlExecutionProvider") as caught:
        open_session(Path("m.onnx"), "directml")
    assert "onnxruntime-directml" in caught.value.hint
