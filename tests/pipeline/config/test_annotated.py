"""A prep.toml with every setting commented out reads as if they were not there, and is right when they are."""

import re

from pipeline.config.annotated import annotated_text
from pipeline.config.declared import declared
from pipeline.config.registry import STAGES
from pipeline.config.settings import Settings, load_settings


def test_what_is_given_is_read_back_and_what_is_commented_out_is_not(tmp_path):
    file = tmp_path / "prep.toml"
    settings = Settings(
        sources=("hf://datasets/o/n@1",), stages={"check": {"min_side": 48}, "train": {"network_dim": 8}}
    )
    file.write_text(annotated_text(settings), encoding="utf-8")
    read = load_settings(file)
    assert read.sources == settings.sources
    assert {name: dict(values) for name, values in read.stages.items() if values} == dict(settings.stages)


def test_every_setting_of_every_stage_is_named_with_its_help():
    text = annotated_text(Settings())
    for entry in STAGES:
        section = text.partition(f"\n# [{entry.name}]\n")[2].partition("\n# [")[0]
        names = [each.name for each in declared(entry.options()) if each.section == "stage"]
        assert re.findall(r"^# (\w+) =", section, re.MULTILINE) == names
        assert section.count("#   ") >= len(names), "a help for each"


def test_a_default_that_is_commented_in_is_what_it_was(tmp_path):
    file = tmp_path / "prep.toml"
    text = annotated_text(Settings())
    for entry in STAGES:
        if entry.name == "train":
            continue  # has settings of which one excludes another
        head, start, rest = text.partition(f"\n# [{entry.name}]\n")
        section, end, rest = rest.partition("\n# [")
        text = (
            head
            + start.replace("# ", "")
            + re.sub(r"^# (?=\w+ = )(?!.*; not set$)", "", section, flags=re.MULTILINE)
            + end
            + rest
        )
    file.write_text(text, encoding="utf-8")
    read = load_settings(file)
    kinds = {each.name: each.default for each in declared(STAGES[1].options()) if each.section == "stage"}
    assert len(read.stages["check"]) > 8
    assert {name: kinds[name] for name in read.stages["check"]} == dict(read.stages["check"])


def test_a_section_can_be_added_at_the_end(tmp_path):
    file = tmp_path / "prep.toml"
    file.write_text(annotated_text(Settings()) + "\n[check]\nmin_side = 48\n", encoding="utf-8")
    assert load_settings(file).stages == {"check": {"min_side": 48}}
