// Captions one below the other, edited in place; and one tag replaced in all of them, after a look at what changes.

import { at, get, post } from "./api.js";
import { complete, completing } from "./completing.js";
import { decide, onChange, told } from "./desk.js";
import { difference } from "./difference.js";
import { byId, counted, element, fill } from "./dom.js";
import { addKeys } from "./keys.js";

const list = byId("captions");
const COUNT_AFTER = 300;
let held = { rows: [], total: 0, from: 0, windows: [] };

async function load(from = held.from) {
  try {
    held = await get("captions", { q: byId("query").value, from });
    byId("count").textContent = counted(held.total, "caption");
    byId("means").textContent = "";
    draw();
  } catch (error) {
    if (error.status === 400) byId("means").textContent = `${error.message}; ${error.hint}`;
    else told(error);
  }
}

function draw() {
  const focused = document.activeElement?.dataset?.id;
  const kept = new Map([...list.querySelectorAll("textarea.unsaved")].map((field) => [field.dataset.id, field.value]));
  fill(list, held.rows.map((row) => line(row, kept.get(String(row.id)))), pages());
  if (focused) list.querySelector(`textarea[data-id="${CSS.escape(focused)}"]`)?.focus();
}

/** A caption with its image; what is being written stays while the list around it is drawn anew. */
function line(row, unsaved) {
  const tokens = element("small", { class: "tokens" });
  const field = element("textarea", { rows: 3, value: unsaved ?? row.caption, dataset: { id: row.id }, "aria-label": `caption of ${row.path}`,
    class: unsaved === undefined ? "" : "unsaved" });
  let timer = 0;
  field.addEventListener("input", () => {
    field.classList.toggle("unsaved", field.value !== row.caption);
    clearTimeout(timer);
    if (held.windows.length) timer = setTimeout(async () => count(tokens, (await get("tokens", { text: field.value })).tokens), COUNT_AFTER);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !event.defaultPrevented) {
      event.preventDefault();
      save(row, field);
    } else if (event.key === "Escape" && !event.defaultPrevented) {
      field.value = row.caption;
      field.classList.remove("unsaved");
    }
  });
  count(tokens, row.tokens);
  return element("article", { class: "changed" }, element("img", { src: at(row.thumb), alt: "", loading: "lazy" }),
    element("div", { class: "writing" },
      element("small", { class: "name" }, row.name, row.by_person ? " · written by you" : ""),
      element("div", { class: "field" }, field), tokens));
}

function count(place, tokens) {
  if (tokens === null) return;
  const fits = held.windows.find((size) => tokens <= size);
  place.textContent = `${tokens} tokens${fits ? ` of ${fits}` : `, more than ${held.windows.at(-1)}`}`;
  place.classList.toggle("wrong", !fits);
}

async function save(row, field) {
  if (field.value === row.caption) return next(field, 1);
  const text = field.value.trim() ? field.value : null;
  field.classList.remove("unsaved");
  next(field, 1);
  if (!(await decide({ ids: [row.id], choice: { caption: text }, seen: { [row.id]: row.stamp } }))) field.classList.add("unsaved");
}

function next(field, by) {
  const all = [...list.querySelectorAll("textarea")];
  const other = all[all.indexOf(field) + by];
  if (other) other.focus();
}

function pages() {
  const step = held.rows.length;
  if (held.total <= step && !held.from) return null;
  return element("p", { class: "buttons" },
    element("button", { type: "button", disabled: !held.from, onclick: () => load(Math.max(0, held.from - 60)) }, "before"),
    element("span", {}, `${held.from + 1} to ${held.from + step} of ${held.total.toLocaleString("en")}`),
    element("button", { type: "button", disabled: held.from + step >= held.total, onclick: () => load(held.from + step) }, "next"));
}

async function preview() {
  const box = byId("preview");
  try {
    const found = await post("captions/preview", { q: byId("query").value, find: byId("find").value, instead: byId("instead").value });
    box.hidden = false;
    const [old, now] = found.meant;
    fill(box, element("p", {}, element("b", {}, `${old} → ${now}: ${counted(found.ids.length, "caption")}`)),
      found.shown.map((row) => element("p", {}, element("small", {}, row.path), " ", difference(row.before, row.after))),
      element("div", { class: "buttons" },
        found.ids.length > 0 && element("button", { type: "button", class: "yes", onclick: () => replaced(found) }, `replace in ${counted(found.ids.length, "caption")}`),
        element("button", { type: "button", onclick: () => { box.hidden = true; } }, "leave it")));
    box.querySelector("button")?.focus();
  } catch (error) {
    box.hidden = true;
    byId("means").textContent = [error.message, error.hint].filter(Boolean).join("; ");
    if (error.status !== 400) told(error);
  }
}

async function replaced(found) {
  if (await decide({ ids: found.ids, choice: { replace: found.meant } })) byId("preview").hidden = true;
}

completing(byId("query"), (typed) => complete("query", typed), (value) => { byId("query").value = value; load(0); });
completing(byId("find"), (typed) => complete("tag", typed), (value) => { byId("find").value = value; byId("instead").focus(); });
completing(byId("instead"), (typed) => complete("tag", typed), (value) => { byId("instead").value = value; preview(); });
byId("search").addEventListener("submit", (event) => { event.preventDefault(); load(0); });
byId("replacing").addEventListener("submit", (event) => { event.preventDefault(); preview(); });
addKeys("Captions", [
  { keys: ["/"], words: "ask for images", act: () => byId("query").focus() },
  { keys: ["r"], words: "replace a tag in all captions, after a preview", act: () => byId("find").focus() },
  { keys: ["e"], words: "write in the first caption", act: () => list.querySelector("textarea")?.focus() },
  { keys: ["Ctrl+ArrowDown"], typing: true, words: "the next caption", act: (event) => next(event.target, 1) },
  { keys: ["Ctrl+ArrowUp"], typing: true, words: "the caption before", act: (event) => next(event.target, -1) },
  { keys: [], shown: ["Enter"], words: "save the caption and go on; Shift+Enter makes a new line, Esc takes back what was written", act: () => false },
]);
onChange(() => load());
load();
