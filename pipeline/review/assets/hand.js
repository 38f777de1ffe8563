// Ten tags in hand, one on each digit: lit where the image has them, put and taken away with the key.

import { askText } from "./asking.js";
import { complete } from "./completing.js";
import { byId, element, fill } from "./dom.js";

const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];

/** `put(tag, has)` is called to add or remove; `of()` gives the tags of the active image. Kept in this browser for the set. */
export function tagsInHand(set, put, of) {
  const store = `prep-hand:${set}`;
  let held = Array(DIGITS.length).fill("");
  try {
    const kept = JSON.parse(localStorage.getItem(store) ?? "[]");
    held = held.map((_, place) => (typeof kept[place] === "string" ? kept[place] : ""));
  } catch {
    // what is kept there is a convenience
  }

  const draw = () => {
    const tags = new Set(of());
    fill(byId("hand"), DIGITS.map((digit, place) => element("button", {
      type: "button", class: `in-hand ${held[place] && tags.has(held[place]) ? "lit" : ""}`, "aria-pressed": held[place] ? String(tags.has(held[place])) : null,
      onclick: (event) => (event.altKey || !held[place] ? choose(place) : use(place)),
      title: held[place] ? "Alt+click puts another tag here" : "put a tag on this key" },
      element("kbd", {}, digit), held[place] || "…")));
  };
  const choose = async (place) => {
    const tag = await askText(`The tag on key ${DIGITS[place]}`, { value: held[place], source: (typed) => complete("tag", typed) });
    if (tag === null) return;
    held[place] = tag.trim();
    try {
      localStorage.setItem(store, JSON.stringify(held));
    } catch {
      // a private window keeps nothing
    }
    draw();
  };
  const use = (place) => {
    if (!held[place]) return choose(place);
    return put(held[place], of().includes(held[place]));
  };
  draw();
  return {
    draw,
    keys: [
      { keys: DIGITS, shown: ["1 … 0"], words: "put or take away the tag that this digit holds", act: (event) => use(DIGITS.indexOf(event.key)) },
      { keys: DIGITS.map((digit) => `Alt+Shift+${digit}`), words: "", act: (event) => choose(DIGITS.indexOf(event.code.slice(-1))) },
    ],
  };
}
