// Runs and grids: curves and samples, live while a run trains, and two runs side by side.

import { BASE, get } from "./api.js";
import { chart } from "./chart.js";
import { told } from "./desk.js";
import { byId, element, fill } from "./dom.js";
import { drawGrid } from "./grid.js";
import { addKeys } from "./keys.js";

const LIVE = 4000;
const view = { kind: "runs", name: "", chosen: new Set(), timer: 0, drawn: "" };

async function load() {
  try {
    const { runs, grids } = await get("runs");
    if (!view.name && (runs.length || grids.length)) {
      view.kind = runs.length ? "runs" : "grids";
      view.name = (runs[0] ?? grids[0]).name;
    }
    lists(runs, grids);
    await show(runs);
  } catch (error) {
    told(error);
  }
  clearTimeout(view.timer);
  view.timer = setTimeout(() => (document.hidden ? null : load()), LIVE);
}

function lists(runs, grids) {
  const focused = document.activeElement?.dataset?.name;
  fill(byId("runs"), runs.map((run) => element("li", { class: "run-line" },
    element("input", { type: "checkbox", checked: view.chosen.has(run.name), "aria-label": `compare ${run.name}`,
      onchange: (event) => compare(run.name, event.target.checked) }),
    button("runs", run.name, `${progress(run)}`))));
  fill(byId("grids"), grids.map((grid) => element("li", {}, button("grids", grid.name, grid.words))));
  if (!runs.length) fill(byId("runs"), element("li", { class: "quiet" }, "none yet: prep train makes one"));
  if (!grids.length) fill(byId("grids"), element("li", { class: "quiet" }, "none yet: prep grid makes one"));
  if (focused) document.querySelector(`button[data-name="${CSS.escape(focused)}"]`)?.focus();
}

function progress(run) {
  const of = run.steps ? ` of ${run.steps.toLocaleString("en")}` : "";
  return `${run.state} · step ${run.step.toLocaleString("en")}${of}${run.best === null ? "" : ` · best ${run.best.toPrecision(4)}`}`;
}

function button(kind, name, words) {
  const held = view.kind === kind && view.name === name && view.chosen.size < 2;
  return element("button", { type: "button", class: `facet ${held ? "in" : ""}`, "aria-pressed": String(held), dataset: { name },
    onclick: () => { Object.assign(view, { kind, name, drawn: "" }); view.chosen.clear(); load(); } },
    element("span", { class: "what" }, name), element("small", { class: "wide" }, words));
}

function compare(name, checked) {
  if (checked) view.chosen.add(name);
  else view.chosen.delete(name);
  view.drawn = "";
  load();
}

async function show() {
  if (view.chosen.size >= 2) return put(await get("compare", { runs: [...view.chosen].join("\n") }), drawComparison);
  if (!view.name) return fill(byId("shown"), element("p", { class: "quiet" }, "No run and no grid is here yet. Train with: prep train SET"));
  if (view.kind === "grids") return put(await get("grid", { name: view.name }), (found) => drawGrid(byId("shown"), found, address));
  return put(await get("run", { name: view.name }), drawRun);
}

/** Draw what came, unless it is what stands there. */
function put(found, draw) {
  const text = JSON.stringify({ ...found, version: 0 });
  if (text === view.drawn) return;
  view.drawn = text;
  draw(found);
}

const address = (kind, name, word) => `${BASE}/run-image/${kind}/${encodeURIComponent(name)}/${word}`;

function drawRun(run) {
  const live = run.state === "training" ? element("span", { class: "live" }, "live") : null;
  fill(byId("shown"),
    element("h2", {}, run.name, " ", live),
    element("p", { class: "quiet" }, [progress(run), run.speed && `${run.speed.toPrecision(3)} images a second`, run.memory && `at most ${run.memory}`]
      .filter(Boolean).join(" · ")),
    run.problems.map((problem) => element("p", { class: "wrong" }, problem)),
    run.use.file && element("p", {}, element("b", {}, `Use ${run.use.file}. `), run.use.why),
    samples(run),
    element("div", { class: "charts" }, run.charts.map(chart)),
    snapshots(run.snapshots));
}

/** Prompts down, steps across: the newest stands first, so that it is seen on any screen. */
function samples(run) {
  const { rows, columns, images } = run.samples;
  if (!images.some((column) => column.length)) return element("p", { class: "quiet" }, "No samples yet.");
  const order = [...columns.keys()].reverse();
  return element("div", { class: "scroller" }, element("table", { class: "samples" },
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "prompt"),
      order.map((column) => element("th", { scope: "col" }, columns[column])))),
    element("tbody", {}, [...Array(Math.max(...images.map((column) => column.length))).keys()].map((row) => element("tr", {}, element("th", { scope: "row" }, rows[row] ?? `image ${row + 1}`),
      order.map((column) => element("td", {}, images[column][row] && element("img", { loading: "lazy", decoding: "async",
        src: address("runs", run.name, images[column][row]), alt: `${rows[row] ?? ""}, ${columns[column]}` }))))))));
}

function snapshots(rows) {
  if (!rows.length) return null;
  return element("section", {}, element("h3", {}, "Adapters"), element("table", {},
    element("thead", {}, element("tr", {}, ["file", "step", "epoch", "validation loss", "size"].map((words) => element("th", { scope: "col" }, words)))),
    element("tbody", {}, rows.map((row) => element("tr", { class: row.recommended ? "chosen" : "" },
      [row.file, row.step, row.epoch, row.validation === null ? "" : row.validation.toPrecision(4), row.size].map((words) => element("td", {}, String(words))))))));
}

function drawComparison(found) {
  const table = (title, rows, none) => element("section", {}, element("h3", {}, title), rows.length ? element("table", {},
    element("thead", {}, element("tr", {}, element("th", {}, ""), found.names.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, rows.map((row) => element("tr", {}, element("th", { scope: "row" }, row.name), row.values.map((value) => element("td", {}, value)))))) :
    element("p", { class: "quiet" }, none));
  fill(byId("shown"), element("h2", {}, found.names.join(" and ")),
    found.problems.map((problem) => element("p", { class: "wrong" }, problem)),
    table("Settings that differ", found.settings, "All settings are the same."),
    table("Results", found.results, ""),
    element("div", { class: "charts" }, found.charts.map(chart)),
    element("p", { class: "quiet" }, `The same images of both: prep compare ${found.names.map((name) => `SET/runs/${name}`).join(" ")}`));
}

function step(by) {
  const all = [...document.querySelectorAll(".facets button")];
  const place = all.findIndex((each) => each.getAttribute("aria-pressed") === "true");
  all[Math.max(0, Math.min(all.length - 1, place + by))]?.click();
}

addKeys("Runs", [
  { keys: ["j", "]"], words: "the next run or grid", act: () => step(1) },
  { keys: ["k", "["], words: "the one before", act: () => step(-1) },
  { keys: ["c"], words: "compare the one that is shown, or not", act: () => {
    if (view.kind === "runs" && view.name) compare(view.name, !view.chosen.has(view.name));
  } },
]);
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
load();
