// A wall of images that draws only what is seen: twenty thousand scroll like twenty.

import { element } from "./dom.js";
import { Loading } from "./loading.js";

const SPARE_ROWS = 2;
const FAST = 3;
const SETTLED = 120;
const GAP = 10;

/**
 * Cells of one size in rows. The focus stays on the wall itself, which names the active cell, so that no scrolling loses it.
 *
 * `draw(node, id)` fills a cell, `shown(id)` gives {address, words} of its image once it is known, or nothing. Told are
 * `onactive(id)`, `onopen(id)` and `onselect(ids)`.
 */
export class Wall {
  constructor(box, { width, height, draw, shown, onopen = () => {}, onactive = () => {}, onselect = () => {} }) {
    Object.assign(this, { box, width, height, draw, shown, onopen, onactive, onselect });
    this.ids = [];
    this.places = new Map();
    this.active = 0;
    this.anchor = 0;
    this.selected = new Set();
    this.nodes = new Map();
    this.free = [];
    this.loading = new Loading();
    this.columns = 1;
    this.top = 0;
    this.stamp = 0;
    this.space = element("div", { class: "wall-space", role: "presentation" });
    box.replaceChildren(this.space);
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-multiselectable", "true");
    box.tabIndex = 0;
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    box.addEventListener("click", (event) => this.clicked(event));
    box.addEventListener("dblclick", (event) => this.opened(event));
    box.addEventListener("keydown", (event) => this.moved(event));
    new ResizeObserver(() => this.measure()).observe(box);
  }

  /** Show these ids in this order; the active one and the selection stay where they are still among them. */
  show(ids) {
    const before = this.ids[this.active];
    this.ids = ids;
    this.places = new Map(ids.map((id, place) => [id, place]));
    this.selected = new Set([...this.selected].filter((id) => this.places.has(id)));
    this.active = this.places.get(before) ?? Math.min(this.active, Math.max(0, ids.length - 1));
    this.anchor = this.active;
    this.clear();
    this.measure();
    this.reveal();
    this.onselect(this.selected);
  }

  /** Draw all cells anew, or these: what they show has changed. */
  redraw(ids = null) {
    for (const [place, node] of this.nodes) if (ids === null || ids.has(this.ids[place])) this.paint(place, node);
  }

  get activeId() {
    return this.ids[this.active];
  }

  /** What a decision is about: the selection, or the active image. */
  get meant() {
    if (this.selected.size) return this.ids.filter((id) => this.selected.has(id));
    return this.ids.length ? [this.activeId] : [];
  }

  /** Make a place the active one, and bring it into view; with `extend`, select from the anchor to it. */
  go(place, extend = false) {
    if (!this.ids.length) return;
    this.active = Math.max(0, Math.min(place, this.ids.length - 1));
    if (extend) {
      const [first, last] = [Math.min(this.anchor, this.active), Math.max(this.anchor, this.active)];
      this.selected = new Set(this.ids.slice(first, last + 1));
      this.onselect(this.selected);
    } else {
      this.anchor = this.active;
    }
    this.reveal();
    this.marks();
    this.onactive(this.activeId);
  }

  /** Select or deselect one image. */
  toggle(id = this.activeId) {
    if (id === undefined) return;
    if (!this.selected.delete(id)) this.selected.add(id);
    this.anchor = this.active;
    this.selectionChanged();
  }

  select(ids) {
    this.selected = new Set(ids);
    this.selectionChanged();
  }

  selectionChanged() {
    this.marks();
    this.onselect(this.selected);
  }

  // --- where things are

  measure() {
    const inner = this.box.clientWidth - GAP;
    const columns = Math.max(1, Math.floor(inner / (this.width + GAP)));
    const cell = Math.floor(inner / columns) - GAP;
    if (columns !== this.columns || cell !== this.cell) {
      const kept = this.columns ? Math.floor(this.box.scrollTop / this.rowHeight) * this.columns : 0;
      this.columns = columns;
      this.cell = cell;
      this.rowHeight = this.height + Math.round((cell - this.width) * 0.75) + GAP;
      this.clear();
      this.box.scrollTop = Math.floor(kept / columns) * this.rowHeight;
    }
    this.space.style.height = `${Math.ceil(this.ids.length / columns) * this.rowHeight + GAP}px`;
    this.place();
  }

  get rows() {
    return Math.max(1, Math.floor(this.box.clientHeight / this.rowHeight));
  }

  reveal() {
    if (!this.ids.length) return;
    const top = Math.floor(this.active / this.columns) * this.rowHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.rowHeight + GAP > this.box.scrollTop + this.box.clientHeight) {
      this.box.scrollTop = top + this.rowHeight + GAP - this.box.clientHeight;
    }
    this.place();
  }

  scrolled() {
    const now = performance.now();
    const screens = Math.abs(this.box.scrollTop - this.top) / Math.max(1, this.box.clientHeight);
    this.fast = screens / Math.max(1, (now - this.stamp) / 1000) > FAST;
    this.top = this.box.scrollTop;
    this.stamp = now;
    clearTimeout(this.settled);
    this.settled = setTimeout(() => { this.fast = false; this.images(); }, SETTLED);
    if (!this.waiting) {
      this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.place(); });
    }
  }

  // --- drawing

  /** Give every cell that is seen a node, and take the others' away. */
  place() {
    if (!this.rowHeight) return;
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.rowHeight) - SPARE_ROWS) * this.columns;
    const seen = Math.ceil(this.box.clientHeight / this.rowHeight) + 1 + 2 * SPARE_ROWS;
    const last = Math.min(this.ids.length, first + seen * this.columns);
    for (const [place, node] of this.nodes) if (place < first || place >= last) this.release(place, node);
    for (let place = first; place < last; place += 1) if (!this.nodes.has(place)) this.lay(place);
    if (!this.fast) this.images();
    this.marks();
  }

  lay(place) {
    const node = this.free.pop() ?? this.space.appendChild(cell());
    node.id = `cell-${place}`;
    node.hidden = false;
    node.dataset.place = place;
    node.style.width = `${this.cell}px`;
    node.style.height = `${this.rowHeight - GAP}px`;
    const [row, column] = [Math.floor(place / this.columns), place % this.columns];
    node.style.transform = `translate(${GAP + column * (this.cell + GAP)}px, ${GAP + row * this.rowHeight}px)`;
    this.nodes.set(place, node);
    this.paint(place, node);
  }

  paint(place, node) {
    const id = this.ids[place];
    node.setAttribute("aria-setsize", this.ids.length);
    node.setAttribute("aria-posinset", place + 1);
    this.draw(node, id);
    if (!this.fast) this.image(place, node);
  }

  images() {
    for (const [place, node] of this.nodes) this.image(place, node);
  }

  image(place, node) {
    const image = node.querySelector("img");
    const shown = this.shown(this.ids[place]);
    if (!shown?.address) this.loading.drop(image);
    else {
      image.alt = shown.words;
      this.loading.want(image, shown.address);
    }
  }

  release(place, node) {
    this.loading.drop(node.querySelector("img"));
    this.nodes.delete(place);
    node.hidden = true;
    node.removeAttribute("id");
    this.free.push(node);
  }

  clear() {
    for (const [place, node] of this.nodes) this.release(place, node);
  }

  /** Say which cell is active and which are selected. */
  marks() {
    for (const [place, node] of this.nodes) {
      const selected = this.selected.has(this.ids[place]);
      node.classList.toggle("active", place === this.active);
      node.classList.toggle("selected", selected);
      node.setAttribute("aria-selected", selected);
    }
    if (this.nodes.has(this.active)) this.box.setAttribute("aria-activedescendant", `cell-${this.active}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  // --- pointer and keys

  hit(event) {
    const node = event.target.closest?.(".cell");
    return node ? Number(node.dataset.place) : null;
  }

  clicked(event) {
    const place = this.hit(event);
    if (place === null || event.target.closest("button")) return;
    if (event.ctrlKey || event.metaKey) {
      this.active = place;
      this.toggle();
    } else {
      if (!event.shiftKey && this.selected.size) this.select([]);
      this.go(place, event.shiftKey);
    }
  }

  opened(event) {
    const place = this.hit(event);
    if (place !== null) this.onopen(this.ids[place]);
  }

  moved(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = this.rows * this.columns;
    const last = this.ids.length - 1;
    const to = {
      ArrowLeft: this.active - 1, ArrowRight: this.active + 1,
      ArrowUp: this.active - this.columns < 0 ? this.active : this.active - this.columns,
      ArrowDown: this.active + this.columns > last ? this.active : this.active + this.columns,
      PageUp: this.active - page, PageDown: this.active + page, Home: 0, End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.go(to, event.shiftKey);
  }
}

function cell() {
  return element("div", { class: "cell", role: "option" },
    element("div", { class: "picture" }, element("img", { alt: "", decoding: "async", draggable: "false" })),
    element("div", { class: "under" }));
}
