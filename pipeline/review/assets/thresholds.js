// Thresholds by slider, over how the stored scores are spread; what they come to, at once.

import { at, get, post } from "./api.js";
import { decide, onChange, told } from "./desk.js";
import { difference } from "./difference.js";
import { byId, drawing, element, fill } from "./dom.js";
import { addKeys } from "./keys.js";

const AFTER = 120;
const WIDTH = 400;
const HEIGHT = 70;
const state = { rows: [], wanted: {}, asked: 0, timer: 0 };

async function load() {
  try {
    const found = await get("thresholds");
    state.rows = found.categories;
    state.wanted = {};
    fill(byId("sliders"), state.rows.map(slider));
    if (!found.fixed) byId("means").textContent = "curate cuts at the largest gap of each image (threshold = gap), so these do nothing now";
    tried();
  } catch (error) {
    told(error);
  }
}

function slider(row) {
  const shown = element("output", {}, row.now.toFixed(2));
  const most = Math.max(1, ...row.spread.slice(1));
  const wide = WIDTH / row.spread.length;
  const line = drawing("line", { class: "cutoff", y1: 0, y2: HEIGHT, x1: row.now * WIDTH, x2: row.now * WIDTH });
  const input = element("input", { type: "range", min: "0", max: "1", step: "0.01", value: row.now, "aria-label": `threshold of ${row.category} tags`,
    oninput: () => {
      state.wanted[row.category] = Number(input.value);
      shown.textContent = Number(input.value).toFixed(2);
      for (const end of ["x1", "x2"]) line.setAttribute(end, Number(input.value) * WIDTH);
      tried();
    } });
  return element("section", { class: "slider" },
    element("h2", {}, row.category, " ", shown),
    element("p", { class: "quiet" }, `published for this tagger: ${row.published.toFixed(2)}${row.given ? "; yours is in prep.toml" : ""}`),
    drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      row.spread.map((count, place) => drawing("rect", { class: "bin", x: place * wide, width: Math.max(1, wide - 1),
        y: HEIGHT * (1 - Math.min(1, count / most)), height: HEIGHT * Math.min(1, count / most) })), line),
    input);
}

function tried() {
  clearTimeout(state.timer);
  state.timer = setTimeout(async () => {
    const asked = (state.asked += 1);
    try {
      const found = await post("thresholds/try", thresholds());
      if (asked === state.asked) draw(found);
    } catch (error) {
      told(error);
    }
  }, AFTER);
}

/** Those that were moved, and those that prep.toml gives; null is what is published. */
function thresholds() {
  return Object.fromEntries(state.rows.map((row) => [row.category, state.wanted[row.category] ?? (row.given ? row.now : null)]));
}

function draw(found) {
  byId("means").textContent = found.words;
  byId("more").textContent = found.more;
  fill(byId("tags"), found.tags.map((row) => element("tr", {}, element("th", { scope: "row" }, row.tag),
    element("td", { class: "number" }, row.before.toLocaleString("en")),
    element("td", { class: "number" }, `${row.after.toLocaleString("en")} (${row.after > row.before ? "+" : "−"}${Math.abs(row.after - row.before)})`))));
  if (!found.tags.length) fill(byId("tags"), element("tr", {}, element("td", { colspan: 3, class: "quiet" }, "move a slider to see what changes")));
  fill(byId("captions"), found.captions.map((row) => element("article", { class: "changed" },
    element("img", { src: at(row.thumb), alt: row.path }), element("p", {}, difference(row.before, row.after)))));
  const moved = Object.keys(state.wanted).length > 0;
  byId("keep").disabled = byId("back").disabled = !moved;
}

async function keep() {
  if (byId("keep").disabled) return;
  if (await decide(thresholds(), "thresholds/keep")) await load();
}

addKeys("Thresholds", [
  { keys: ["s", "Ctrl+s"], words: "keep these thresholds", act: keep },
  { keys: ["Escape"], words: "back to what holds", act: load },
]);
byId("keep").addEventListener("click", keep);
byId("back").addEventListener("click", load);
onChange(load);
load();
