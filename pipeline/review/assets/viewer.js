// One image, large: what was decided about it and why, beside the boxes that training sees.

import { at, get } from "./api.js";
import { told } from "./desk.js";
import { drawing, element, fill } from "./dom.js";

/** Opens over the wall and follows it. `place()` gives [place, how many], `go(step)` moves on. */
export class Viewer {
  constructor(box, { go, place }) {
    Object.assign(this, { box, go, place });
    this.views = new Map();
    this.boxes = true;
    this.id = null;
  }

  get isOpen() {
    return !this.box.hidden;
  }

  known(id) {
    return this.views.get(id);
  }

  forget() {
    this.views.clear();
  }

  close() {
    this.box.hidden = true;
    document.body.classList.remove("viewing");
    document.getElementById("wall").focus();
  }

  toggleBoxes() {
    this.boxes = !this.boxes;
    this.box.classList.toggle("bare", !this.boxes);
  }

  async open(id) {
    if (id === undefined) return;
    this.id = id;
    if (!this.isOpen) {
      this.box.hidden = false;
      document.body.classList.add("viewing");
      this.box.focus();
    }
    try {
      const view = await this.view(id);
      if (this.id === id) this.draw(view);
    } catch (error) {
      told(error);
    }
  }

  async view(id) {
    if (!this.views.has(id)) {
      if (this.views.size > 100) this.views.delete(this.views.keys().next().value);
      this.views.set(id, await get(`image/${id}`));
    }
    return this.views.get(id);
  }

  draw(view) {
    const [place, count] = this.place();
    fill(this.box,
      element("div", { class: "stage" },
        element("figure", { class: "large" },
          element("img", { src: at(view.preview), alt: view.path, width: view.width, height: view.height }),
          view.bucket && overlay(view)),
        element("p", { class: "where" }, `${place + 1} of ${count.toLocaleString("en")}`)),
      element("div", { class: "about" }, about(view)));
    this.box.setAttribute("aria-label", view.path);
  }
}

/** The crop and the other sizes it could have had, as boxes over the image. */
function overlay(view) {
  const boxes = [...(view.bucket.others ?? []).map((each) => ({ ...each, kind: "other" })), { ...view.bucket, kind: "own" }];
  const [own] = boxes.slice(-1);
  const shade = `M0 0H${view.width}V${view.height}H0ZM${own.box[0]} ${own.box[1]}V${own.box[3]}H${own.box[2]}V${own.box[1]}Z`;
  return drawing("svg", { class: "boxes", viewBox: `0 0 ${view.width} ${view.height}`, "aria-hidden": "true" },
    drawing("path", { class: "cut", d: shade, "fill-rule": "evenodd" }),
    boxes.map(({ box, kind, size }) => drawing("rect", { class: kind, x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1] },
      drawing("title", {}, `${size[0]}×${size[1]}`))));
}

function about(view) {
  return [
    element("h2", {}, view.name),
    element("p", { class: "path" }, view.path),
    element("p", { class: view.kept === false ? "verdict no" : "verdict yes" }, view.kept === false ? "dropped" : "kept", " ", element("small", {}, view.reason)),
    element("dl", { class: "facts" }, (view.facts ?? []).map(([name, words]) => [element("dt", {}, name), element("dd", {}, words)])),
    part("You decided", (view.choices ?? []).map((words) => element("p", {}, words))),
    part("Flags and contradictions", (view.wrong ?? []).map((words) => element("p", { class: "wrong" }, words))),
    part("Caption", [element("p", { class: "caption" }, view.caption || "none yet"), tags(view.tags_why ?? [])]),
    part("Scored, and not in the caption", [tags(view.missed ?? [])]),
    part("Copies", [pictures(view.copies ?? [])]),
    part("Regularization image", [pictures(view.regularization ? [view.regularization] : [])]),
  ];
}

function part(title, children) {
  const held = children.filter(Boolean);
  return held.length ? element("section", {}, element("h3", {}, title), held) : null;
}

function tags(rows) {
  if (!rows.length) return null;
  return element("table", { class: "tags" }, element("tbody", {}, rows.map((row) => element("tr", { class: row.action ?? "" },
    element("th", { scope: "row" }, row.tag),
    element("td", { class: "number" }, row.score === null || row.score === undefined ? "" : row.score.toFixed(2)),
    element("td", { class: "why" }, row.why ?? "")))));
}

function pictures(images) {
  if (!images.length) return null;
  return element("div", { class: "strip" }, images.map((each) => element("figure", {},
    element("img", { src: at(each.thumb), alt: each.path }),
    element("figcaption", {}, each.words ?? each.path))));
}
