// What is proposed, with its evidence: answered by its digit, singly or all of its like.

import { askOne } from "./asking.js";
import { at, get } from "./api.js";
import { decide, onChange, told } from "./desk.js";
import { byId, counted, element, fill, reveal } from "./dom.js";
import { addKeys } from "./keys.js";

const DRAWN = 60;
const list = byId("list");
let all = [];
let shown = [];
let kind = "";
let active = 0;
let pending = [];

async function load() {
  try {
    const found = await get("proposals");
    const before = shown[active];
    all = found.proposals.filter((each) => !pending.some((other) => same(each, other)));
    kinds(found.kinds);
    show(before);
  } catch (error) {
    told(error);
  }
}

function show(before = null) {
  shown = all.filter((each) => !kind || each.kind === kind);
  const place = before ? shown.findIndex((each) => same(each, before)) : 0;
  active = place >= 0 ? place : Math.max(0, Math.min(active, shown.length - 1));
  byId("left").textContent = all.length ? `${counted(all.length, "proposal")} to settle` :
    "Nothing is left to settle. Whatever you decided is in the record: prep log shows it, prep undo takes it back.";
  draw();
}

const same = (one, other) => one.kind === other.kind && one.key === other.key && one.about === other.about;

function kinds(rows) {
  fill(byId("kinds"), [{ name: "", words: "All", count: all.length }, ...rows].map((row) => element("li", {},
    element("button", { type: "button", class: `facet ${row.name === kind ? "in" : ""}`, "aria-pressed": String(row.name === kind),
      onclick: () => choose(row.name) },
      element("span", { class: "what" }, row.words), element("small", {}, row.count.toLocaleString("en"))))));
}

function choose(name) {
  kind = name;
  active = 0;
  for (const button of byId("kinds").querySelectorAll("button")) button.classList.remove("in");
  show();
  load();
}

/** The active proposal and those around it; a set may have thousands. */
function draw() {
  const here = list.contains(document.activeElement);
  const first = Math.max(0, Math.min(active - DRAWN / 2, shown.length - DRAWN));
  fill(list, shown.slice(first, first + DRAWN).map((each, place) => row(each, first + place)));
  if (here) document.activeElement?.blur();
  marks();
}

function row(each, place) {
  const alike = all.filter((other) => other.group === each.group && other.kind === each.kind).length;
  return element("article", { class: "proposal", id: `proposal-${place}`, "aria-setsize": shown.length, "aria-posinset": place + 1,
    "aria-labelledby": `title-${place}`, tabIndex: -1, dataset: { place }, onclick: () => go(place) },
    element("header", {}, element("h2", { id: `title-${place}` }, each.title), element("small", {}, each.kind_words)),
    each.evidence.map((line) => element("p", { class: "quiet" }, line)),
    element("div", { class: "strip" }, each.images.map((image) => element("figure", {},
      element("img", { src: at(image.thumb), alt: image.path, loading: "lazy", decoding: "async" }),
      element("figcaption", {}, element("span", { class: "name" }, image.name), image.caption && element("small", {}, image.caption)))),
      each.more > 0 && element("p", { class: "quiet" }, `and ${each.more.toLocaleString("en")} more`)),
    element("div", { class: "buttons" },
      each.answers.map((words, answer) => element("button", { type: "button", class: answer ? "" : "yes",
        onclick: (event) => { event.stopPropagation(); go(place); settle(each, answer); } }, element("kbd", {}, String(answer + 1)), " ", words)),
      element("button", { type: "button", onclick: (event) => { event.stopPropagation(); go(place); settle(each, null); } },
        element("kbd", {}, "0"), " ", each.reject),
      alike > 1 && element("button", { type: "button", onclick: (event) => { event.stopPropagation(); go(place); together(each); } },
        element("kbd", {}, "*"), ` all ${alike} alike …`)));
}

/** The active proposal has the focus, unless the person is elsewhere. */
function marks() {
  const here = document.activeElement === document.body || list.contains(document.activeElement);
  for (const node of list.children) {
    const chosen = Number(node.dataset.place) === active;
    node.classList.toggle("active", chosen);
    node.tabIndex = chosen ? 0 : -1;
    if (chosen) reveal(list, node);
    if (chosen && here) node.focus({ preventScroll: true });
  }
}

function go(place) {
  if (!shown.length) return;
  active = Math.max(0, Math.min(place, shown.length - 1));
  if (!list.querySelector(`#proposal-${active}`)) draw();
  else marks();
}

const name = ({ kind: held, key, about }) => ({ kind: held, key, about });

/** Answer one proposal; null rejects it. */
async function settle(each, answer) {
  if (answer !== null && answer >= each.answers.length) return;
  await answered([each], answer);
}

/** Take proposals off the list at once, so that the next key is meant for the next one, and write down what was answered. */
async function answered(found, answer) {
  const place = active;
  all = all.filter((other) => !found.some((each) => same(each, other)));
  show();
  go(Math.min(place, shown.length - 1));
  pending = [...pending, ...found];
  const done = await decide({ proposals: found.map(name), answer }, "settle");
  pending = pending.filter((each) => !found.includes(each));
  if (!done) await load();
}

/** Answer all of a group alike, after the number of them was said. */
async function together(each) {
  const alike = all.filter((other) => other.group === each.group && other.kind === each.kind);
  const choices = each.answers.map((words, place) => ({ key: String(place + 1), value: place, words: said(words, place, alike) }));
  const answer = await askOne(`All ${counted(alike.length, "proposal")}: ${each.group}`, [
    ...choices, { key: "0", value: "reject", words: `${each.reject}, all of them` }, { key: "n", value: null, words: "go back" }]);
  if (answer === null) return;
  await answered(alike, answer === "reject" ? null : answer);
}

function said(words, place, alike) {
  return alike.every((other) => other.answers[place] === words) ? words : `answer ${place + 1} of each, as here: ${words}`;
}

addKeys("Proposals", [
  { keys: ["ArrowDown", "j"], words: "the next one", act: () => go(active + 1) },
  { keys: ["ArrowUp", "k"], words: "the one before", act: () => go(active - 1) },
  { keys: ["PageDown"], words: "ten on", act: () => go(active + 10) },
  { keys: ["PageUp"], words: "ten back", act: () => go(active - 10) },
  { keys: ["Home"], words: "the first", act: () => go(0) },
  { keys: ["End"], words: "the last", act: () => go(shown.length - 1) },
  { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: ["1 … 9"], words: "give the answer of this number",
    act: (event) => shown[active] && settle(shown[active], Number(event.key) - 1) },
  { keys: ["0"], words: "reject: it is not proposed again", act: () => shown[active] && settle(shown[active], null) },
  { keys: ["*"], words: "answer all that are alike", act: () => shown[active] && together(shown[active]) },
  { keys: ["["], words: "the kind before", act: () => step(-1) },
  { keys: ["]"], words: "the next kind", act: () => step(1) },
]);

function step(by) {
  const buttons = [...byId("kinds").querySelectorAll("button")];
  const place = buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
  buttons[(place + by + buttons.length) % buttons.length]?.click();
}

onChange(load);
load();
