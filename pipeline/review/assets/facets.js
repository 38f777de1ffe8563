// Counts inside what is shown: a click narrows to it, a click with Shift leaves it out.

import { element, fill } from "./dom.js";

const TITLES = { verdicts: "Verdict", concepts: "Concept", flags: "Flag", lacks: "Lacks", reasons: "Reason", tags: "Tag" };
const KEYS = { verdicts: "verdict", concepts: "concept", flags: "flag", lacks: "lacks", reasons: "reason", tags: "tag" };
const FIRST = 12;

/** Draw the lists of counts; `ask` is called with the query that a click makes of `query`. */
export function drawFacets(box, counts, query, ask) {
  const open = new Set([...box.querySelectorAll("details[open]")].map((each) => each.dataset.facet));
  const first = !box.querySelector("details");
  fill(box, element("p", { class: "quiet" }, "click narrows, Shift+click leaves out"), Object.keys(TITLES).map((name) => {
    const rows = counts[name] ?? [];
    if (!rows.length) return null;
    const most = Math.max(...rows.map((row) => row.count));
    const list = element("ul", {});
    const draw = (all) => fill(list, (all ? rows : rows.slice(0, FIRST)).map((row) => line(name, row, most, query, ask)),
      !all && rows.length > FIRST && element("li", {}, element("button", { type: "button", class: "more", onclick: () => draw(true) },
        `${rows.length - FIRST} more`)));
    draw(false);
    return element("details", { open: first ? name !== "reasons" : open.has(name), dataset: { facet: name } },
      element("summary", {}, TITLES[name]), list);
  }));
}

function line(name, row, most, query, ask) {
  const term = `${KEYS[name]}:${quoted(row.value)}`;
  const held = terms(query);
  const state = held.includes(term) ? "in" : held.includes(`-${term}`) ? "out" : "";
  return element("li", {}, element("button", {
    type: "button", class: `facet ${state}`, "aria-pressed": String(state === "in"),
    onclick: (event) => ask(toggled(held, term, event.shiftKey)) },
    element("span", { class: "what" }, row.words ?? row.value),
    element("span", { class: "bar", style: { "--share": row.count / most } }),
    element("small", {}, row.count.toLocaleString("en"))));
}

/** A query with a term put in, taken out, or, with `out`, negated. */
export function toggled(held, term, out) {
  const wanted = out ? `-${term}` : term;
  const rest = held.filter((each) => each !== term && each !== `-${term}`);
  return (held.includes(wanted) ? rest : [...rest, wanted]).join(" ");
}

/** A value as a query takes it: in quotes where it holds more than letters, digits, _ and / . */
export function quoted(value) {
  return /^[\w/.-]+$/u.test(value) && value !== "OR" && value !== "NOT" ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** The parts of a query at its top, each with its brackets and quotes. */
export function terms(query) {
  const found = [];
  let held = "";
  let depth = 0;
  let inside = false;
  for (let place = 0; place < query.length; place += 1) {
    const letter = query[place];
    if (letter === "\\" && inside) {
      held += letter + (query[place += 1] ?? "");
      continue;
    }
    if (letter === '"') inside = !inside;
    if (!inside) depth += letter === "(" ? 1 : letter === ")" ? -1 : 0;
    if (letter === " " && !inside && depth <= 0) {
      if (held) found.push(held);
      held = "";
    } else held += letter;
  }
  return held ? [...found, held] : found;
}
