// Curves as the report draws them, from the same figures.

import { drawing, element } from "./dom.js";

/** One chart with its title, note and key. */
export function chart(drawn) {
  return element("article", { class: "chart" },
    element("h3", {}, drawn.title),
    element("p", { class: "quiet" }, drawn.note),
    drawing("svg", { viewBox: `0 0 ${drawn.width} ${drawn.height}`, role: "img",
      "aria-label": `${drawn.title}: ${drawn.lines.map((line) => line.name).join(", ")}` },
      drawn.marks.map((mark, place) => [
        drawing("line", { x1: drawn.left, x2: drawn.right, y1: mark.y, y2: mark.y, class: place ? "rule" : "axis" }),
        text(mark.words, drawn.left - 8, mark.y, "end", 4),
      ]).flat(),
      drawn.ticks.map((tick) => text(tick.words, tick.x, drawn.bottom + 18, tick.anchor)),
      drawn.lines.map((line) => [
        drawing("polyline", { points: line.points, class: `curve ${line.kind}` }, drawing("title", {}, line.name)),
        ...line.dots.map((dot) => drawing("circle", { cx: dot.x, cy: dot.y, r: 3.5, class: `curve ${line.kind}` }, drawing("title", {}, dot.words))),
      ]).flat(),
      drawn.best && [
        drawing("line", { x1: drawn.best.x, x2: drawn.best.x, y1: drawn.top - 4, y2: drawn.bottom, class: "best" }),
        text(drawn.best.words, drawn.best.x, drawn.top - 9, drawn.best.anchor),
      ]),
    element("p", { class: "key" }, drawn.lines.map((line) => element("span", {}, element("i", { class: `curve ${line.kind}` }), line.name))));
}

function text(words, x, y, anchor, down = 0) {
  return drawing("text", { x, y, dy: down, "text-anchor": anchor }, words);
}
