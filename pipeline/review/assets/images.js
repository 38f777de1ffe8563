// The page of all images: what is asked for, the wall, and what is decided there.

import { at, BASE, Cells, get } from "./api.js";
import { complete, completing } from "./completing.js";
import { decisionKeys } from "./deciding.js";
import { decide, onChange, told } from "./desk.js";
import { byId, counted, element, fill } from "./dom.js";
import { drawFacets } from "./facets.js";
import { tagsInHand } from "./hand.js";
import { addKeys } from "./keys.js";
import { Viewer } from "./viewer.js";
import { Wall } from "./wall.js";

const CELL = { width: 176, height: 214 };
const query = byId("query");
const order = byId("order");
const cells = new Cells();
let asked = null;
let viewer = null;

const wall = new Wall(byId("wall"), {
  ...CELL,
  draw,
  shown: (id) => {
    const cell = cells.now(id);
    return cell && !cell.gone ? { address: at(cell.thumb), words: cell.path } : null;
  },
  onopen: (id) => viewer.open(id),
  onactive: (id) => active(id),
  onselect: () => count(),
});
viewer = new Viewer(byId("viewer"), { go: (step) => wall.go(wall.active + step), place: () => [wall.active, wall.ids.length] });

function draw(node, id) {
  const cell = cells.now(id);
  node.classList.toggle("dropped", Boolean(cell && cell.kept === false));
  node.classList.toggle("waiting", !cell);
  const under = node.querySelector(".under");
  if (!cell) {
    fill(under);
    cells.of(id).then(() => wall.redraw(new Set([id]))).catch(told);
    return;
  }
  node.setAttribute("aria-label", spoken(cell));
  fill(under,
    element("span", { class: "name", title: cell.path }, cell.name),
    element("small", { title: cell.reason }, cell.kept === false ? cell.reason : `${cell.concept}`),
    element("span", { class: "marks-of" },
      cell.edited && element("b", { class: "mark person", title: "you decided about this image" }, "you"),
      cell.group !== null && cell.group !== undefined && element("b", { class: "mark", title: "it has copies" }, "copies"),
      (cell.flags ?? []).length > 0 && element("b", { class: "mark flag", title: cell.flags.join(", ") }, "flag"),
      cell.kept !== false && cell.repeats !== null && cell.repeats !== undefined && element("small", { title: "repeats" }, `×${short(cell.repeats)}`)));
}

function short(number) {
  return Number(number).toLocaleString("en", { maximumFractionDigits: 2 });
}

function spoken(cell) {
  const state = cell.kept === false ? `dropped: ${cell.reason}` : "kept";
  return [cell.name, cell.concept, state, ...(cell.flags ?? [])].filter(Boolean).join(", ");
}

function active(id) {
  if (id === undefined) return;
  cells.of(id).then(() => hand.draw()).catch(told);
  if (viewer.isOpen) viewer.open(id);
}

function count() {
  const chosen = wall.selected.size;
  byId("count").textContent = chosen ? `${counted(chosen, "image")} of ${wall.ids.length.toLocaleString("en")} selected` :
    counted(wall.ids.length, "image");
}

/** Ask for the images that the query means, and show them. */
async function load() {
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  try {
    const found = await get("images", { q: query.value, sort: order.value }, signal);
    byId("means").textContent = found.words;
    query.removeAttribute("aria-invalid");
    wall.show(found.ids);
    byId("nothing").hidden = found.ids.length > 0;
    count();
    const address = new URL(location.href);
    if (query.value) address.searchParams.set("q", query.value);
    else address.searchParams.delete("q");
    address.searchParams.set("sort", order.value);
    history.replaceState(null, "", address);
    drawFacets(byId("facets"), await get("facets", { q: query.value }, signal), query.value, ask);
  } catch (error) {
    if (error.status === 400) {
      query.setAttribute("aria-invalid", "true");
      byId("means").textContent = [error.message, error.hint].filter(Boolean).join("; ");
    } else told(error);
  }
}

function ask(text) {
  query.value = text;
  load();
}

function seen(ids) {
  const found = {};
  for (const id of ids) if (cells.now(id)?.stamp) found[id] = cells.now(id).stamp;
  return found;
}

const meant = () => (viewer.isOpen ? [wall.activeId] : wall.meant);

function after(choice, ids) {
  if ("keep" in choice && choice.keep !== null && ids.length === 1) wall.go(wall.active + 1);
}

const hand = tagsInHand(BASE && document.title, async (tag, has) => {
  const ids = meant();
  await decide({ ids, choice: has ? { remove: [tag] } : { add: [tag] }, seen: seen(ids) });
}, () => cells.now(wall.activeId)?.tags ?? []);

function next(step) {
  wall.go(wall.active + step);
}

addKeys("The wall", [
  { keys: ["Enter", "o"], words: "open the active image, or close it", act: () => (viewer.isOpen ? viewer.close() : viewer.open(wall.activeId)) },
  { keys: ["Escape"], words: "close, deselect", act: () => (viewer.isOpen ? viewer.close() : wall.select([])) },
  { keys: ["/"], words: "ask for images", act: () => query.focus() },
  { keys: [" ", "x"], words: "select the active image, or not", act: () => wall.toggle() },
  { keys: ["Ctrl+a"], words: "select all that are shown", act: () => wall.select(wall.ids) },
  { keys: ["i"], words: "invert the selection", act: () => wall.select(wall.ids.filter((id) => !wall.selected.has(id))) },
  { keys: ["Shift+ArrowRight"], words: "select on the way (with any arrow, PgUp, PgDn, Home, End)", act: () => false },
  { keys: ["["], words: "ten back", act: () => next(-10) },
  { keys: ["]"], words: "ten on", act: () => next(10) },
  { keys: ["{"], words: "a hundred back", act: () => next(-100) },
  { keys: ["}"], words: "a hundred on", act: () => next(100) },
  { keys: ["f"], words: "filters, on a narrow screen", act: () => byId("facets").toggleAttribute("data-open") },
]);
addKeys("In the large view", [
  { keys: ["ArrowLeft", "ArrowUp", "h"], words: "the one before", act: () => next(-1) },
  { keys: ["ArrowRight", "ArrowDown", "l", " "], words: "the next one", act: () => next(1) },
  { keys: ["z"], words: "boxes of crop and buckets, or none", act: () => viewer.toggleBoxes() },
], () => viewer.isOpen);
addKeys("Tags in hand", hand.keys);
addKeys("Decide", decisionKeys({ meant, seen, after, shown: (id) => viewer.known(id) ?? cells.now(id) }));

completing(query, (typed) => complete("query", typed), (value) => {
  ask(value);
  byId("wall").focus();
});
byId("search").addEventListener("submit", (event) => { event.preventDefault(); load(); });
order.addEventListener("change", load);
byId("filters").addEventListener("click", () => byId("facets").toggleAttribute("data-open"));
onChange(async () => {
  cells.forget();
  viewer.forget();
  wall.redraw();
  await load();
  if (viewer.isOpen) viewer.open(wall.activeId);
});

const address = new URL(location.href);
query.value = address.searchParams.get("q") ?? "";
if (address.searchParams.get("sort")) order.value = address.searchParams.get("sort");
load().then(() => byId("wall").focus());
