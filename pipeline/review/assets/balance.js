// The tree of concepts by share: weights by dragging or typing, and what comes of them at once.

import { get, post } from "./api.js";
import { decide, onChange, told } from "./desk.js";
import { byId, element, fill } from "./dom.js";
import { addKeys } from "./keys.js";

const AFTER = 120;
const ROW = 46;
const LEAST = 0.01;
const state = { found: null, weights: {}, timer: 0, asked: 0 };

async function load() {
  try {
    state.found = await get("balance");
    state.weights = { ...state.found.weights };
    draw();
  } catch (error) {
    told(error);
  }
}

/** Ask what the weights come to, once the person rests for a moment; nothing is written. */
function tried() {
  clearTimeout(state.timer);
  state.timer = setTimeout(async () => {
    const asked = (state.asked += 1);
    try {
      const found = await post("balance/try", { weights: state.weights });
      if (asked !== state.asked) return;
      state.found = { ...found, weights: state.found.weights };
      draw();
    } catch (error) {
      told(error);
    }
  }, AFTER);
}

function weigh(path, weight) {
  if (!(weight > 0)) return;
  state.weights[path] = Math.round(weight * 1000) / 1000;
  tried();
}

const changed = () => JSON.stringify(state.weights) !== JSON.stringify(state.found.weights);

function draw() {
  const { nodes, words, warnings } = state.found;
  byId("sum").textContent = words;
  icicle(nodes);
  table(nodes);
  fill(byId("warnings"), warnings.map((each) => element("li", { class: "wrong" }, each)));
  byId("keep").disabled = !changed();
  byId("back").disabled = !changed();
}

function percent(share) {
  return `${(100 * share).toLocaleString("en", { maximumFractionDigits: share < 0.1 ? 1 : 0 })}%`;
}

const last = (path) => (path.endsWith("/.") ? "(directly in it)" : path.split("/").pop());

/** Every level a row, every concept as wide as its share; the edge between two siblings is dragged. */
function icicle(nodes) {
  const box = byId("icicle");
  const starts = new Map([["", 0]]);
  const depth = Math.max(0, ...nodes.map((node) => node.depth));
  box.style.height = `${(depth + 1) * ROW}px`;
  const made = [];
  nodes.forEach((node) => {
    const parent = node.path.split("/").slice(0, -1).join("/");
    const start = starts.get(parent) ?? 0;
    starts.set(parent, start + node.share);
    starts.set(node.path, start);
    const block = element("div", { class: `block ${node.often ? "often" : ""}`, title: `${node.path}: ${percent(node.share)} of what is shown`,
      style: { left: `${100 * start}%`, width: `${100 * node.share}%`, top: `${node.depth * ROW}px` } },
      element("span", {}, last(node.path)), element("small", {}, percent(node.share)));
    const next = nodes.find((other) => other !== node && other.depth === node.depth &&
      other.path.split("/").slice(0, -1).join("/") === parent && nodes.indexOf(other) > nodes.indexOf(node));
    if (next && node.weight !== null && next.weight !== null) block.append(edge(node, next, box));
    made.push(block);
  });
  fill(box, made);
}

function edge(node, next, box) {
  const grip = element("i", { class: "edge", title: "drag to weigh" });
  grip.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const begun = { x: event.clientX, one: node.share, other: next.share, weight: node.weight, beside: next.weight };
    const moved = (move) => {
      const by = (move.clientX - begun.x) / box.clientWidth;
      const one = Math.max(LEAST * begun.one, begun.one + by);
      const other = Math.max(LEAST * begun.other, begun.other - by);
      state.weights[node.path] = Math.round(1000 * begun.weight * (one / begun.one)) / 1000;
      state.weights[next.path] = Math.round(1000 * begun.beside * (other / begun.other)) / 1000;
      tried();
    };
    document.addEventListener("pointermove", moved);
    for (const end of ["pointerup", "pointercancel"]) {
      document.addEventListener(end, () => document.removeEventListener("pointermove", moved), { once: true });
    }
  });
  return grip;
}

function table(nodes) {
  const body = byId("concepts").tBodies[0];
  const focused = document.activeElement?.dataset?.path;
  fill(body, nodes.map((node) => element("tr", { class: node.often ? "often" : "" },
    element("th", { scope: "row" }, element("span", { style: { "padding-left": `${node.depth * 1.1}rem` } }, last(node.path))),
    element("td", {}, node.weight === null ? element("small", {}, "set by its folder") : element("input", { type: "number", min: "0.001", step: "0.1",
      value: state.weights[node.path] ?? node.weight, dataset: { path: node.path }, "aria-label": `weight of ${node.path}`,
      oninput: (event) => weigh(node.path, Number(event.target.value)) })),
    element("td", { class: "number" }, percent(node.share), Math.abs(node.share - node.target) > 0.005 * Math.max(node.share, 0.01) ?
      element("small", {}, ` of ${percent(node.target)}`) : null),
    element("td", { class: "number" }, node.images.toLocaleString("en")),
    element("td", { class: "number" }, node.repeats),
    element("td", { class: "number" }, `${node.seen.toLocaleString("en", { maximumFractionDigits: 1 })} times`))));
  if (focused) {
    const input = body.querySelector(`input[data-path="${CSS.escape(focused)}"]`);
    if (input) input.focus();
  }
}

async function keep() {
  if (!changed()) return;
  if (await decide({ weights: state.weights, seen: state.found.version }, "balance/keep")) await load();
}

addKeys("Balance", [
  { keys: ["s", "Ctrl+s"], typing: true, words: "keep these weights", act: (event) => {
    if (event.key === "s" && !event.ctrlKey && !event.metaKey && event.target.matches("input")) return false;
    return keep();
  } },
  { keys: ["Escape"], typing: true, words: "back to what holds", act: load },
]);
byId("keep").addEventListener("click", keep);
byId("back").addEventListener("click", load);
onChange(load);
load();
