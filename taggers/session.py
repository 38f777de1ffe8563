"""ONNX Runtime on the device that was asked for; where CUDA was asked for by name, anything else is an error.

ONNX Runtime itself falls back to the CPU without a word a program could read, and lists providers it cannot load.
So the driver is asked first, what the runtime says on stderr is caught, and the provider in use is looked up after.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taggers.errors import TaggerError

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-rocm",
    "onnxruntime-training",
    "ort-nightly",
    "ort-nightly-gpu",
)
OTHERS = {
    "migraphx": ("MIGraphXExecutionProvider", "onnxruntime-rocm has it, for AMD's GPUs on Linux"),
    "rocm": ("ROCMExecutionProvider", "onnxruntime-rocm has it, for AMD's GPUs on Linux"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml has it, for any GPU on Windows"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime for macOS has it"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino has it, for Intel's processors and GPUs"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu has it where TensorRT is installed"),
}
"""Devices beside the CPU and CUDA: what ONNX Runtime calls them, and which package has them."""
TAKEN = ("migraphx", "rocm", "directml")
"""Those that `auto` takes where the installed package has them: the others compile each model for minutes, or are no faster
than the CPU with some."""
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|" + "|".join(OTHERS))


@dataclass(frozen=True, slots=True)
class Session:
    """An open model. `provider` is what it runs on; `warnings` are words for the person."""

    runtime: Any
    provider: str
    warnings: tuple[str, ...] = ()

    @property
    def on_gpu(self) -> bool:
        return self.provider != CPU


def check_device(device: str) -> None:
    """Raises TaggerError unless the device is auto, cpu, cuda, cuda:N or one of the others by name."""
    if not _DEVICE.fullmatch(device):
        others = ", ".join(OTHERS)
        raise TaggerError(f"device is {device!r}", f"give auto, cpu, cuda, cuda:1 for the second GPU, or {others}")


def installed_runtimes() -> tuple[str, ...]:
    """The ONNX Runtime packages installed here. They share one folder, so more than one breaks all of them."""
    names = {(found.metadata["Name"] or "").lower().replace("_", "-") for found in importlib.metadata.distributions()}
    return tuple(name for name in PACKAGES if name in names)


def runtime_clash() -> tuple[str, str] | None:
    """Where several ONNX Runtime packages are installed: what is wrong, and the line that mends it."""
    found = installed_runtimes()
    if len(found) < 2:
        return None
    kept = next((name for name in found if name != "onnxruntime"), found[0])
    return (
        f"{' and '.join(found)} are installed together and overwrite each other's files",
        f"pip uninstall -y {' '.join(found)} && pip install {kept}",
    )


def open_session(model: Path, device: str = "auto", threads: int = 0) -> Session:
    """Open a model on a device; with 0 threads ONNX Runtime takes every core.

    Raises:
        TaggerError: the device cannot be had, or the file is no model.
    """
    check_device(device)
    try:
        import onnxruntime

        onnxruntime.InferenceSession  # noqa: B018
    except (ImportError, AttributeError) as error:
        clash = runtime_clash()
        raise TaggerError(
            f"ONNX Runtime cannot be loaded: {error}", clash[1] if clash else "pip install onnxruntime"
        ) from error
    explicit = device.startswith("cuda")
    warnings = []
    if clash := runtime_clash():
        if explicit or device in OTHERS:
            raise TaggerError(f"device is {device}, but {clash[0]}", clash[1])
        warnings.append(f"{clash[0]}; mend it with: {clash[1]}")
    if device in OTHERS:
        return Session(_on_other(onnxruntime, model, device, threads), OTHERS[device][0])
    number = int(device.partition(":")[2] or 0)
    trouble = "" if device == "cpu" else _no_cuda(onnxruntime, number)
    if explicit and trouble:
        raise TaggerError(f"device is {device}, but {trouble}", "give --device cpu, or auto to take what there is")
    if device != "cpu" and not trouble:
        session, trouble, advice = _on_cuda(onnxruntime, model, number, threads)
        if session is not None:
            return Session(session, CUDA, tuple(warnings))
        if explicit:
            raise TaggerError(f"device is {device}, but ONNX Runtime cannot use it: {trouble}", advice)
        warnings.append(f"running on the CPU, ONNX Runtime cannot use the GPU: {trouble}; {advice}")
    for other in TAKEN if device == "auto" else ():
        if OTHERS[other][0] in onnxruntime.get_available_providers():
            with contextlib.suppress(TaggerError):
                return Session(_on_other(onnxruntime, model, other, threads), OTHERS[other][0], tuple(warnings))
    session = _open(onnxruntime, model, [CPU], threads)
    return Session(session, session.get_providers()[0], tuple(warnings))


def _on_other(onnxruntime: Any, model: Path, device: str, threads: int) -> Any:
    """A session on one of the other devices.

    Raises:
        TaggerError: the installed package does not have it, or cannot use it here.
    """
    provider, package = OTHERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise TaggerError(
            f"device is {device}, but the installed ONNX Runtime {onnxruntime.__version__} has no {provider}",
            f"{package}; or give --device cpu, or auto to take what there is",
        )
    with _stderr_caught() as said:
        session = _open(onnxruntime, model, [provider, CPU], threads)
    if session.get_providers()[0] != provider:
        why = "".join(said).strip().splitlines()
        raise TaggerError(
            f"device is {device}, but ONNX Runtime cannot use it: {(why[0] if why else 'it gave no reason')[:400]}",
            "update its driver, or give --device cpu",
        )
    return session


def _no_cuda(onnxruntime: Any, number: int) -> str:
    """Why CUDA cannot be had, as far as it shows before a model is loaded; "" when nothing speaks against it."""
    if CUDA not in onnxruntime.get_available_providers():
        return f"the installed ONNX Runtime {onnxruntime.__version__} has no CUDA; onnxruntime-gpu has"
    count, trouble = cuda_devices()
    if trouble:
        return trouble
    return "" if number < count else f"the driver counts {count} GPU{'s' * (count != 1)}, the first is cuda:0"


def cuda_devices() -> tuple[int, str]:
    """How many GPUs the NVIDIA driver offers, and why none if none."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0, "no NVIDIA driver is installed here"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return 0, "the NVIDIA driver offers no GPU"
    return count.value, ""


def _on_cuda(onnxruntime: Any, model: Path, number: int, threads: int) -> tuple[Any, str, str]:
    """(session, "", "") on the GPU, or (None, what the runtime said, what to do)."""
    options = {"device_id": str(number), "arena_extend_strategy": "kSameAsRequested"}
    with _stderr_caught() as said:
        if "torch" not in sys.modules and hasattr(onnxruntime, "preload_dlls"):
            with contextlib.redirect_stdout(sys.stderr):
                onnxruntime.preload_dlls()
        session = _open(onnxruntime, model, [(CUDA, options), CPU], threads)
    if session.get_providers()[0] == CUDA:
        return session, "", ""
    lines = [line.strip() for line in "".join(said).splitlines() if "error" in line.lower() or "failed" in line.lower()]
    return None, (lines[0] if lines else "it gave no reason")[:400], _advice(" ".join(lines))


def _advice(said: str) -> str:
    if "libcuda.so" in said or "driver version is insufficient" in said.lower():
        return "update the NVIDIA driver"
    return "pip install --upgrade 'onnxruntime-gpu[cuda,cudnn]' brings the CUDA and cuDNN libraries of its version"


def _open(onnxruntime: Any, model: Path, providers: list[Any], threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=providers)
    except Exception as error:
        raise TaggerError(
            f"{model} is no model that ONNX Runtime {onnxruntime.__version__} can open: {_last(error)}",
            "a download that broke off leaves such files: delete it and fetch it again",
        ) from error


def _last(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]


@contextlib.contextmanager
def _stderr_caught() -> Iterator[list[str]]:
    """Catch what native code writes to file descriptor 2."""
    said: list[str] = []
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):
        yield said
        return
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            said.append(caught.read().decode(errors="replace"))
