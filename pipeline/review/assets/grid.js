// A grid of the test bench: two axes at a time, the others chosen.

import { element, fill } from "./dom.js";

/** Draw a grid into a box; `address(kind, name, word)` gives where an image is. */
export function drawGrid(box, grid, address) {
  const chosen = Object.fromEntries(grid.axes.map((axis) => [axis.name, 0]));
  const lie = { x: grid.x ?? grid.axes[0]?.name ?? null, y: grid.y ?? null };
  const table = element("div", { class: "scroller" });
  const pick = (label, value, options, change) => element("label", {}, `${label} `, element("select", {
    onchange: (event) => { change(event.target.value); draw(); } },
    options.map(([key, words]) => element("option", { value: key, selected: key === value }, words))));
  const bar = element("p", { class: "axes" });

  const draw = () => {
    const names = grid.axes.map((axis) => [axis.name, axis.name.replaceAll("_", " ")]);
    fill(bar,
      names.length > 0 && pick("across", lie.x, names, (name) => { if (lie.y === name) lie.y = lie.x; lie.x = name; }),
      names.length > 1 && pick("down", lie.y, [["", "nothing"], ...names.filter(([name]) => name !== lie.x)], (name) => { lie.y = name || null; }),
      grid.axes.filter((axis) => axis.name !== lie.x && axis.name !== lie.y).map((axis) =>
        pick(axis.name.replaceAll("_", " "), String(chosen[axis.name]), axis.values.map((value, place) => [String(place), value]),
          (place) => { chosen[axis.name] = Number(place); })));
    const across = grid.axes.find((axis) => axis.name === lie.x)?.values ?? [""];
    const down = grid.axes.find((axis) => axis.name === lie.y)?.values ?? [""];
    fill(table, element("table", { class: "samples" },
      element("thead", {}, element("tr", {}, element("th", {}, ""), across.map((value) => element("th", { scope: "col" }, value)))),
      element("tbody", {}, down.map((value, y) => element("tr", {}, element("th", { scope: "row" }, value),
        across.map((_, x) => element("td", {}, image(at(x, y)))))))));
  };
  const at = (x, y) => grid.cells.find((cell) => grid.axes.every((axis) => {
    const wanted = axis.name === lie.x ? x : axis.name === lie.y ? y : chosen[axis.name];
    return cell.place[axis.name] === wanted;
  }));
  const image = (cell) => {
    if (!cell) return "";
    const words = [cell.prompt, `seed ${cell.seed}`, cell.sampler].filter(Boolean).join(", ");
    if (!cell.image) return element("span", { class: "quiet", title: words }, "not made yet");
    return element("img", { loading: "lazy", decoding: "async", src: address("grids", grid.name, cell.image), alt: words, title: words });
  };
  fill(box, element("h2", {}, grid.name), bar, table);
  draw();
}
