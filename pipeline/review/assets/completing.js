// A text field that offers what could be meant: a list below it, moved in with the arrows; what was typed can always stay.

import { get } from "./api.js";
import { element, fill, reveal } from "./dom.js";

const AFTER = 90;
let number = 0;

/**
 * Make a field complete. `source(text)` gives [{value, words, count}, …]; `chosen(value)` is called with what Enter or a click
 * takes, or with what was typed where nothing of the list is chosen. Returns a function that closes the list.
 */
export function completing(field, source, chosen) {
  const list = element("ul", { class: "choices", role: "listbox", id: `choices-${(number += 1)}`, hidden: true });
  const place = { at: -1, values: [], timer: 0, asked: 0 };
  for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": list.id, "aria-expanded": "false",
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" })) field.setAttribute(name, value);
  field.after(list);

  const close = () => {
    place.at = -1;
    place.values = [];
    place.asked += 1;
    clearTimeout(place.timer);
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };
  const mark = () => {
    [...list.children].forEach((child, index) => {
      child.setAttribute("aria-selected", index === place.at);
      if (index === place.at) reveal(list, child);
    });
    if (place.at < 0) field.removeAttribute("aria-activedescendant");
    else field.setAttribute("aria-activedescendant", list.children[place.at].id);
  };
  const take = (value) => {
    close();
    chosen(value);
  };
  const ask = async () => {
    const asked = (place.asked += 1);
    const found = await source(field.value).catch(() => []);
    if (asked !== place.asked) return;
    place.values = found;
    place.at = -1;
    fill(list, found.map((each, index) => element("li", { role: "option", id: `${list.id}-${index}`, "aria-selected": "false",
      onpointerdown: (event) => { event.preventDefault(); take(each.value); } },
      element("span", { class: "choice" }, each.words ?? each.value),
      each.count !== undefined && element("small", {}, each.count.toLocaleString("en")))));
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(Boolean(found.length)));
  };

  field.addEventListener("input", () => {
    clearTimeout(place.timer);
    place.timer = setTimeout(ask, AFTER);
  });
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const last = place.values.length - 1;
    if (event.key === "ArrowDown" && last >= 0) place.at = place.at >= last ? -1 : place.at + 1;
    else if (event.key === "ArrowUp" && last >= 0) place.at = place.at < 0 ? last : place.at - 1;
    else if (event.key === "Tab" && last >= 0 && !event.shiftKey) {
      event.preventDefault();
      return take(place.values[Math.max(0, place.at)].value);
    } else if (event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      return take(place.at >= 0 ? place.values[place.at].value : field.value);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      return close();
    } else return;
    event.preventDefault();
    mark();
  });
  return close;
}

/** What a tag or a query could go on with, as the desk knows the set. */
export async function complete(what, typed) {
  const { choices } = await get("complete", { what, typed });
  return choices;
}
