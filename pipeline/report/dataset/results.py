"""The star of the page: the base model and the adapter side by side, and what was measured on the images."""

from __future__ import annotations

from pipeline.core.humanize import percent
from pipeline.report.dataset.facts import Facts, Trigger
from pipeline.report.dataset.samples import Learned, SampleGrid, TraitShare
from pipeline.report.html.markup import Html, element, join, meter, row, table
from pipeline.report.html.thumbnails import Thumbnails


def images(facts: Facts, learned: Learned, album: Thumbnails) -> Html:
    """One card for every trigger word."""
    known = {trigger.word: trigger for trigger in facts.triggers}
    intro = element(
        "p",
        "Every pair starts from the same noise: on the left the base model alone, on the right the "
        "same model with the adapter. Nothing but the adapter differs.",
        class_="lead",
    )
    cards = [_card(word, known.get(word), learned, album) for word in learned.triggers()]
    return join(intro, element("p", learned.about, class_="quiet") if learned.about else "", *cards)


def _card(word: str, trigger: Trigger | None, learned: Learned, album: Thumbnails) -> Html:
    samples = [sample for sample in learned.samples if sample.trigger == word]
    prompts = list(dict.fromkeys(sample.prompt for sample in samples))
    found = learned.found(word)
    score: Html | str = ""
    if found is not None:
        score = element(
            "p",
            element("b", percent(found[0])),
            " → ",
            element("b", percent(found[1]), class_="good"),
            element("small", " of its traits found"),
            class_="score",
        )
    head = element("header", element("h3", word), score)
    if len(prompts) == len(samples):
        groups = [element("div", *(_pair(sample, album, with_prompt=True) for sample in samples), class_="pairs")]
    else:
        groups = [_of_prompt(prompt, [each for each in samples if each.prompt == prompt], album) for prompt in prompts]
    return element("article", head, _references(trigger, album), *groups, class_="card trigger")


def _of_prompt(prompt: str, samples: list[SampleGrid], album: Thumbnails) -> Html:
    """Several seeds of one prompt under its words."""
    found = Learned(tuple(samples)).found()
    share = element("b", f"{percent(found[0])} → {percent(found[1])}") if found else ""
    words = element("p", element("span", "prompt", class_="label"), element("code", prompt), share, class_="prompt")
    return join(words, element("div", *(_pair(sample, album, with_prompt=False) for sample in samples), class_="pairs"))


def _references(trigger: Trigger | None, album: Thumbnails) -> Html | str:
    if trigger is None or not trigger.references:
        return ""
    shown = [album.thumbnail(file, name) for name, file in trigger.references]
    return element(
        "div",
        element("span", f"in your folders ({trigger.images} images)", class_="label"),
        element("div", *shown, class_="strip"),
        class_="references",
    )


def _pair(sample: SampleGrid, album: Thumbnails, with_prompt: bool) -> Html:
    sides = []
    for label, file, found in (
        ("base model", sample.base_path, sample.found_before),
        ("adapter", sample.adapter_path, sample.found_after),
    ):
        figure: Html | str = join(" ", element("b", percent(found))) if found is not None else ""
        sides.append(
            element(
                "figure",
                album.sample(file, f"{label}, seed {sample.seed}: {sample.prompt}"),
                element("figcaption", label, figure),
                class_="with" if label == "adapter" else "without",
            )
        )
    prompt = join(element("code", sample.prompt), " · ") if with_prompt else ""
    words = element("p", prompt, f"seed {sample.seed}", class_="seed")
    return element("div", element("div", *sides, class_="two"), words, class_="pair")


def measured(learned: Learned) -> Html:
    """Trait by trait: in how many images it is found without the adapter and with it."""
    cards = [
        _measured_card(word, [trait for trait in learned.traits if trait.trigger == word], learned)
        for word in learned.triggers()
    ]
    words = "A tagger looked at the images above: in how many of them each trait is found."
    named = {(sample.trigger, word.strip()) for sample in learned.samples for word in sample.prompt.split(",")}
    if learned.traits and not any((trait.trigger, trait.trait) in named for trait in learned.traits):
        words += " No prompt names a trait: what is found, the trigger word brought along."
    shown = element("div", *(card for card in cards if card), class_="columns narrow")
    return join(element("p", words, class_="lead"), shown)


def _measured_card(word: str, traits: list[TraitShare], learned: Learned) -> Html | str:
    found = learned.found(word)
    if found is None:
        return ""
    rows = [
        row(
            trait.trait,
            _two_meters(trait.before, trait.after),
            percent(trait.before),
            percent(trait.after),
            numbers=(2, 3),
        )
        for trait in traits
    ]
    rows.append(
        row("all together", _two_meters(*found), percent(found[0]), percent(found[1]), numbers=(2, 3), class_="sum")
    )
    heads = ("trait", "", "base", "adapter")
    return element("article", element("h3", word), table(heads, rows, (2, 3), "measured"), class_="card")


def _two_meters(before: float, after: float) -> Html:
    return join(meter(before, "before"), meter(after, "after"))
