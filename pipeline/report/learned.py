"""The star of the page: the base model and the adapter side by side, and what was measured on the pictures."""
from __future__ import annotations

from pipeline.report.album import Album
from pipeline.report.facts import Facts, Trigger
from pipeline.report.markup import Html, element, join, meter, percent, row, table
from pipeline.report.samples import Learned, SampleGrid, TraitShare


def pictures(facts: Facts, learned: Learned, album: Album) -> Html:
    """One card for every trigger word."""
    known = {trigger.word: trigger for trigger in facts.triggers}
    intro = element("p", "Every pair starts from the same noise: on the left the base model alone, on the right the same "
                         "model with the adapter. Nothing but the adapter differs.", class_="lead")
    cards = [_card(word, known.get(word), learned, album) for word in learned.triggers()]
    return join(intro, element("p", learned.about, class_="quiet") if learned.about else "", *cards)


def _card(word: str, trigger: Trigger | None, learned: Learned, album: Album) -> Html:
    samples = [sample for sample in learned.samples if sample.trigger == word]
    prompts = list(dict.fromkeys(sample.prompt for sample in samples))
    found = learned.found(word)
    score: Html | str = ""
    if found is not None:
        score = element("p", element("b", percent(found[0])), " → ", element("b", percent(found[1]), class_="good"),
                        element("small", " of its traits found"), class_="score")
    head = element("header", element("h3", word), score)
    shared: Html | str = ""
    if len(prompts) == 1:
        shared = element("p", element("span", "prompt", class_="label"), element("code", prompts[0]))
    pairs = element("div", *(_pair(sample, album, len(prompts) > 1) for sample in samples), class_="pairs")
    return element("article", head, _references(trigger, album), shared, pairs, class_="card trigger")


def _references(trigger: Trigger | None, album: Album) -> Html | str:
    if trigger is None or not trigger.references:
        return ""
    shown = [album.thumbnail(file, name) for name, file in trigger.references]
    return element("div", element("span", f"in your folders ({trigger.pictures} pictures)", class_="label"),
                   element("div", *shown, class_="strip"), class_="references")


def _pair(sample: SampleGrid, album: Album, with_prompt: bool) -> Html:
    sides = []
    for label, file, found in (("base model", sample.base_path, sample.found_before),
                               ("adapter", sample.adapter_path, sample.found_after)):
        figure: Html | str = join(" ", element("b", percent(found))) if found is not None else ""
        sides.append(element("figure", album.sample(file, f"{label}, seed {sample.seed}: {sample.prompt}"),
                             element("figcaption", label, figure), class_="with" if label == "adapter" else "without"))
    prompt = join(element("code", sample.prompt), " · ") if with_prompt else ""
    return element("div", element("div", *sides, class_="two"), element("p", prompt, f"seed {sample.seed}", class_="seed"),
                   class_="pair")


def measured(learned: Learned) -> Html:
    """Trait by trait: in how many pictures it is found without the adapter and with it."""
    cards = [_measured_card(word, [trait for trait in learned.traits if trait.trigger == word], learned)
             for word in learned.triggers()]
    intro = element("p", "A tagger looked for each trait in pictures painted from the trigger word alone. The word for the "
                         "trait is not in the prompt: what is found, the trigger word brought along.", class_="lead")
    return join(intro, element("div", *(card for card in cards if card), class_="columns narrow"))


def _measured_card(word: str, traits: list[TraitShare], learned: Learned) -> Html | str:
    found = learned.found(word)
    if found is None:
        return ""
    rows = [row(trait.trait, _two_meters(trait.before, trait.after), percent(trait.before), percent(trait.after),
                numbers=(2, 3)) for trait in traits]
    rows.append(row("all together", _two_meters(*found), percent(found[0]), percent(found[1]), numbers=(2, 3),
                    class_="sum"))
    return element("article", element("h3", word), table(("trait", "", "base", "adapter"), rows, (2, 3), "measured"), class_="card")


def _two_meters(before: float, after: float) -> Html:
    return join(meter(before, "before"), meter(after, "after"))
