// One tag asked of all images: those in doubt first, yes or no with a key, and on to the next tag.

import { at, Cells, get } from "./api.js";
import { complete, completing } from "./completing.js";
import { decide, onChange, told } from "./desk.js";
import { byId, counted, element, fill } from "./dom.js";
import { addKeys } from "./keys.js";
import { Wall } from "./wall.js";

const FIRST = 400;
const cells = new Cells();
const state = { tag: "", rows: new Map(), tags: [], threshold: 0 };

const wall = new Wall(byId("wall"), {
  width: 150,
  height: 190,
  draw,
  shown: (id) => (cells.now(id) && !cells.now(id).gone ? { address: at(cells.now(id).thumb), words: cells.now(id).path } : null),
  onopen: () => answer(!has(wall.activeId)),
  onselect: () => count(),
});

const has = (id) => Boolean(state.rows.get(id)?.has);

function draw(node, id) {
  const row = state.rows.get(id);
  const cell = cells.now(id);
  node.classList.toggle("yes", has(id));
  node.classList.toggle("no", !has(id));
  if (!cell) cells.of(id).then(() => wall.redraw(new Set([id]))).catch(told);
  const score = row?.score === null || row?.score === undefined ? "no score" : row.score.toFixed(2);
  node.setAttribute("aria-label", `${cell?.name ?? ""}: ${has(id) ? "has it" : "has it not"}, ${score}`);
  fill(node.querySelector(".under"),
    element("span", { class: "name" }, element("b", {}, has(id) ? "✓ " : "✗ "), score),
    element("small", { title: cell?.path ?? "" }, cell?.name ?? ""));
}

function count() {
  const yes = wall.ids.filter(has).length;
  const chosen = wall.selected.size;
  byId("count").textContent = chosen ? `${counted(chosen, "image")} selected` : wall.ids.length ? `${yes.toLocaleString("en")} of ${counted(wall.ids.length, "image")} have it` : "";
}

async function load(keep = false) {
  const tag = byId("tag").value.trim();
  byId("nothing").hidden = Boolean(tag);
  if (!tag) return;
  try {
    const found = await get("tag", { tag, q: byId("query").value, band: byId("band").value });
    state.tag = found.tag;
    state.threshold = found.threshold;
    state.rows = new Map(found.images.map(([id, score, held]) => [id, { score, has: held }]));
    byId("means").textContent = found.scored ? `${found.tag} holds from ${found.threshold.toFixed(2)}; those nearest to it come first` :
      `no tagger scored ${found.tag}`;
    const order = keep ? wall.ids.filter((id) => state.rows.has(id)) : [];
    wall.show(order.length === found.images.length ? order : found.images.map(([id]) => id));
    count();
    history.replaceState(null, "", `?${new URLSearchParams({ tag, q: byId("query").value, band: byId("band").value })}`);
    list();
  } catch (error) {
    byId("means").textContent = error.message;
    if (error.status !== 400) told(error);
  }
}

async function listed() {
  try {
    state.tags = (await get("tags")).tags;
    list();
  } catch (error) {
    told(error);
  }
}

function list() {
  const word = byId("find").value.trim().toLowerCase();
  const rows = state.tags.filter((row) => row.tag.toLowerCase().includes(word));
  fill(byId("tags"), rows.slice(0, FIRST).map((row) => element("li", {}, element("button", {
    type: "button", class: `facet ${row.tag === state.tag ? "in" : ""}`, "aria-pressed": String(row.tag === state.tag), dataset: { tag: row.tag },
    onclick: () => choose(row.tag) },
    element("span", { class: "what" }, row.tag), element("small", {}, row.images.toLocaleString("en"))))),
    rows.length > FIRST && element("li", { class: "quiet" }, `${(rows.length - FIRST).toLocaleString("en")} more: find one above`));
}

function choose(tag) {
  byId("tag").value = tag;
  load().then(() => byId("wall").focus());
}

/** Say yes or no for the selection or the active image, and move on. */
async function answer(yes) {
  const ids = wall.meant.filter((id) => has(id) !== yes);
  const single = !wall.selected.size;
  for (const id of ids) state.rows.get(id).has = yes;
  wall.redraw(new Set(ids));
  if (single) wall.go(wall.active + 1);
  else wall.select([]);
  count();
  if (!ids.length) return;
  const seen = {};
  for (const id of ids) if (cells.now(id)?.stamp) seen[id] = cells.now(id).stamp;
  const choice = yes ? { add: [state.tag] } : { remove: [state.tag] };
  if (!(await decide({ ids, choice, seen }))) await load(true);
}

function step(by) {
  const word = byId("find").value.trim().toLowerCase();
  const rows = state.tags.filter((row) => row.tag.toLowerCase().includes(word));
  const place = rows.findIndex((row) => row.tag === state.tag);
  const next = rows[Math.max(0, Math.min(rows.length - 1, place + by))];
  if (next) choose(next.tag);
}

addKeys("Yes or no", [
  { keys: ["y", "1"], words: "the image has the tag; on to the next", act: () => answer(true) },
  { keys: ["n", "2"], words: "it has it not; on to the next", act: () => answer(false) },
  { keys: ["Enter"], words: "the other of the two", act: () => answer(!has(wall.activeId)) },
  { keys: [" ", "x"], words: "select, or not; y and n then answer for all that are selected", act: () => wall.toggle() },
  { keys: ["Ctrl+a"], words: "select all that are shown", act: () => wall.select(wall.ids) },
  { keys: ["Escape"], words: "deselect", act: () => wall.select([]) },
  { keys: ["]"], words: "the next tag of the list", act: () => step(1) },
  { keys: ["["], words: "the tag before", act: () => step(-1) },
  { keys: ["/"], words: "ask for a tag", act: () => byId("tag").focus() },
]);

completing(byId("tag"), (typed) => complete("tag", typed), choose);
completing(byId("query"), (typed) => complete("query", typed), (value) => { byId("query").value = value; load(); });
byId("band").addEventListener("change", () => load());
byId("find").addEventListener("input", list);
byId("search").addEventListener("submit", (event) => { event.preventDefault(); load(); });
onChange(async () => { cells.forget(); await listed(); await load(true); });

const asked = new URLSearchParams(location.search);
for (const name of ["tag", "query", "band"]) byId(name).value = asked.get(name === "query" ? "q" : name) ?? "";
listed();
load();
