"""What a log comes to, and the table of the run's images."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.core.errors import PrepError
from pipeline.store.training_log import (
    Curve,
    Tally,
    by_concept,
    images_csv,
    lines,
    read_csv,
    read_figures,
    smooth,
    thinned,
)


def line(step: int, **given) -> dict:
    return {"step": step, "epoch": 1, "loss": 0.5, "unet_lr": 1e-3, "images": [["a", 10, 0.5]], **given}


def log(folder: Path, *rows: dict, end: str = "") -> Path:
    file = folder / "log.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + end, encoding="utf-8")
    return file


def test_exposures_losses_and_reg_images_are_counted_for_every_image(tmp_path):
    file = log(
        tmp_path,
        line(1, images=[["a", 10, 0.2], ["b", 900, 0.6]], reg_images=[["a", 10, 9.0]]),
        line(2, epoch=2, images=[["a", 500, 0.4], ["a", 20, 0.3]], reg_images=[["a", 500, 9.0]], memory_bytes=70),
        line(3, epoch=2, images=[["c", 10, 1.0]], memory_bytes=50),
    )
    figures = read_figures(file)
    assert figures.images == {
        "a": Tally(3, pytest.approx(0.3), 2, 2),
        "b": Tally(1, 0.6, 1, 0),
        "c": Tally(1, 1.0, 3, 0),
    }
    assert (figures.steps, figures.last, figures.epochs, figures.memory) == (3, 3, 2, 70)
    assert (figures.exposures, figures.reg_images, figures.missing) == (5, 2, ())


def test_concepts_are_counted_by_the_images_in_them():
    tallies = {"a": Tally(3, 0.3, 2, 2), "b": Tally(1, 0.7, 5, 0), "c": Tally(0, None, 0, 0), "d": Tally(2, 1.0, 4, 0)}
    found = by_concept(tallies, {"a": "Lumi", "b": "Lumi", "c": "Quill"})
    assert found == {"": Tally(2, 1.0, 4, 0), "Lumi": Tally(4, pytest.approx(0.4), 5, 2), "Quill": Tally()}


def test_curves_have_the_steps_at_which_there_was_a_figure(tmp_path):
    file = log(
        tmp_path,
        line(1, concepts={"Lumi": 0.2}, bands={"750-1000": 0.1}),
        line(2, concepts={"Quill": 0.4}, bands={"0-250": 0.3}, gradient_norm=None),
        line(3, concepts={"Lumi": 0.6}, bands={"0-250": 0.5}, gradient_norm=1.5),
    )
    figures = read_figures(file)
    assert figures.concepts == {"Lumi": Curve((1, 3), (0.2, 0.6)), "Quill": Curve((2,), (0.4,))}
    assert list(figures.bands.items()) == [("0-250", Curve((2, 3), (0.3, 0.5))), ("750-1000", Curve((1,), (0.1,)))]
    assert figures.curves["gradient_norm"] == Curve((3,), (1.5,))
    assert figures.curves["unet_lr"] == Curve((1, 2, 3), (1e-3,) * 3)
    assert "text_encoder_lr" not in figures.curves


def test_a_moving_mean_is_that_of_the_last_values_and_of_fewer_at_the_start():
    assert smooth(Curve((1, 2, 4, 5), (1.0, 2.0, 6.0, 1.0)), 3) == Curve((1, 2, 4, 5), (1.0, 1.5, 3.0, 3.0))
    long = Curve(tuple(range(1000)), tuple(float(value) for value in range(1000)))
    assert smooth(long).values[-1] == sum(range(950, 1000)) / 50


def test_a_thinned_curve_keeps_both_ends_and_the_points_it_has():
    curve = Curve(tuple(range(1, 1001)), tuple(value / 7 for value in range(1000)))
    thin = thinned(curve, 10)
    assert len(thin.steps) == 10 and (thin.steps[0], thin.steps[-1]) == (1, 1000)
    assert all(value == (step - 1) / 7 for step, value in zip(thin.steps, thin.values, strict=True))
    assert thinned(curve, 1000) is curve


def test_a_last_line_that_a_kill_cut_off_is_left_out(tmp_path):
    whole = [line(1), line(2)]
    for cut in ('{"step": 3, "epo', "{", '{"loss": 1'):
        assert list(lines(log(tmp_path, *whole, end=cut))) == whole
    assert list(lines(tmp_path / "none.jsonl")) == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    file = log(tmp_path, line(1), end='{"step": 2, "ep\n' + json.dumps(line(3)) + "\n")
    with pytest.raises(PrepError, match=r"line 2 of .*log\.jsonl is damaged: '\{\"step\": 2, \"ep'"):
        list(lines(file))


def test_steps_that_the_log_does_not_hold_are_reported(tmp_path):
    assert read_figures(log(tmp_path, line(4), line(5), line(9))).missing == ((1, 3), (6, 8))


IMAGES = {
    "images/=cmd/a, b.png": {"concept": "=cmd|' /C calc'!A0", "repeats": 1.5},
    'images/Lumi/ö "x".png': {"concept": "Lumi", "repeats": 2 / 3},
    "images/Lumi/never.png": {"concept": "Lumi", "repeats": 1},
}


def test_the_table_has_a_row_for_every_image_and_comes_back(tmp_path):
    keys = list(IMAGES)
    shown = [[keys[0], 10, 0.25], [keys[1], 20, 0.5]]
    figures = read_figures(log(tmp_path, line(1, images=shown), line(2, images=shown[:1], reg_images=shown[:1])))
    file = tmp_path / "images.csv"
    images_csv(file, figures, IMAGES)
    rows = {row.path: row for row in read_csv(file)}
    assert list(rows) == sorted(IMAGES)
    assert rows[keys[0]].tally == Tally(2, 0.25, 2, 1) and rows[keys[0]].repeats == 1.5
    assert rows[keys[1]].tally == Tally(1, 0.5, 1, 0)
    assert rows[keys[2]].tally == Tally(0, None, 0, 0)
    assert {path: row.concept for path, row in rows.items()} == {path: each["concept"] for path, each in IMAGES.items()}


def test_no_cell_of_the_table_is_a_formula_to_a_spreadsheet(tmp_path):
    names = [f"{mark}1+1" for mark in "=+-@\t\r"] + ["'=already", "plain"]
    images = {name: {"concept": name, "repeats": 1.0} for name in names}
    file = tmp_path / "images.csv"
    images_csv(file, read_figures(tmp_path / "none"), images)
    with file.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in list(csv.reader(stream))[1:] for cell in row[:2]]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert {row.path for row in read_csv(file)} == set(names)


def test_another_table_is_refused_by_name(tmp_path):
    file = tmp_path / "images.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(PrepError, match=r"images\.csv is no table of a run's images"):
        read_csv(file)
