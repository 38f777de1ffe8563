"""The events that TensorBoard reads."""

import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import PrepError
from train.evaluation.validation_history import Evaluation
from train.run.tensorboard import LARGEST_SIDE, TensorBoard

LINE = {
    "step": 1,
    "epoch": 0,
    "loss": 0.5,
    "unet_lr": 1e-3,
    "text_encoder_lr": 1e-4,
    "gradient_norm": None,
    "weights_norm": 12.0,
    "images_per_second": 3.0,
    "memory_bytes": 1000,
    "concepts": {"Lumi": 0.25},
    "bands": {"0-250": 0.75},
    "images": [["a", 1, 0.5]],
}
LOOK = {
    "step": 1,
    "epoch": 0,
    "held_out": 0.2,
    "train_subset": None,
    "concepts": {"Lumi": {"held_out": 0.3, "train_subset": 0.1}},
    "bands": {"0-250": {"held_out": 0.4}},
}


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    events = read(folder)
    return {
        tag: [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_scalars_are_those_of_the_lines(tmp_path):
    pytest.importorskip("tensorboard")
    board = TensorBoard(tmp_path)
    board.add(LINE)
    board.add_validation(Evaluation(**LOOK))
    board.close()
    assert scalars(tmp_path) == {
        "loss/mean": [(1, 0.5)],
        "loss/concept/Lumi": [(1, 0.25)],
        "loss/band/0-250": [(1, 0.75)],
        "lr/unet": [(1, 1e-3)],
        "lr/text_encoder": [(1, 1e-4)],
        "norm/weights": [(1, 12.0)],
        "speed/images_per_second": [(1, 3.0)],
        "memory/bytes": [(1, 1000.0)],
        "validation/held_out": [(1, 0.2)],
        "validation/concept/Lumi/held_out": [(1, 0.3)],
        "validation/concept/Lumi/train_subset": [(1, 0.1)],
        "validation/band/0-250/held_out": [(1, 0.4)],
    }


@pytest.mark.parametrize(("start", "kept"), [(3, [0.0, 0.1, 0.2, 0.3]), (0, [])])
def test_a_run_resumed_or_begun_anew_doubles_no_curve(tmp_path, start, kept):
    pytest.importorskip("tensorboard")
    first = TensorBoard(tmp_path)
    for step in range(6):
        first.add(LINE | {"step": step, "loss": step / 10})
    first.close()
    again = TensorBoard(tmp_path, start)
    for step in range(len(kept), 6):
        again.add(LINE | {"step": step, "loss": 9.0})
    again.close()
    expected = [*enumerate(kept), *((step, 9.0) for step in range(len(kept), 6))]
    assert scalars(tmp_path)["loss/mean"] == expected


def test_a_large_image_is_made_smaller(tmp_path):
    pytest.importorskip("tensorboard")
    Image.fromarray(np.zeros((100, 2 * LARGEST_SIDE, 3), np.uint8)).save(tmp_path / "grid.png")
    board = TensorBoard(tmp_path / "events")
    board.add_image("samples", 4, tmp_path / "grid.png")
    board.close()
    (image,) = read(tmp_path / "events").Images("samples")
    assert (image.step, image.width, image.height) == (4, LARGEST_SIDE, 50)


def test_without_the_package_the_install_line_is_said(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(PrepError, match="train: tensorboard is true") as caught:
        TensorBoard(tmp_path)
    assert 'pip install "lora-prep[tensorboard]"' in caught.value.hint
