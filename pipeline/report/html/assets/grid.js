"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("choices"), table = document.getElementById("table");
const large = document.getElementById("large"), picture = document.getElementById("picture"), facts = document.getElementById("facts");
const called = (name) => name.replace(/_/g, " ");
const keyOf = (place) => JSON.stringify(data.axes.map((axis) => place[axis.name]));
const cells = new Map(data.cells.map((cell) => [keyOf(cell.place), cell]));
const chosen = { x: data.x, y: data.y, at: Object.fromEntries(data.axes.map((axis) => [axis.name, 0])), side: 220 };
let shown = [], open = [0, 0];

const make = (name, text, more = {}) => Object.assign(document.createElement(name), text === undefined ? {} : { textContent: text }, more);
const select = (title, options, value, change) => {
  const label = make("label", title), list = make("select");
  for (const [id, text] of options) list.append(make("option", text, { value: id }));
  list.value = value ?? "";
  list.addEventListener("change", () => { change(list.value); draw(); });
  label.append(list);
  return label;
};
const drawChoices = () => {
  const names = data.axes.map((axis) => [axis.name, called(axis.name)]);
  form.replaceChildren();
  if (names.length > 1) {
    for (const [way, other, title] of [["x", "y", "Across"], ["y", "x", "Down"]]) {
      form.append(select(title, names, chosen[way], (name) => {
        if (chosen[other] === name) chosen[other] = chosen[way];
        chosen[way] = name;
      }));
    }
  }
  for (const axis of data.axes) {
    if (axis.name === chosen.x || axis.name === chosen.y) continue;
    form.append(select(called(axis.name), axis.values.map((value, place) => [String(place), value]), String(chosen.at[axis.name]),
      (place) => { chosen.at[axis.name] = Number(place); }));
  }
  const label = make("label", "Size"), range = make("input", undefined, { type: "range", min: 64, max: 768, step: 8, value: chosen.side });
  range.addEventListener("input", () => { chosen.side = Number(range.value); table.style.setProperty("--side", `${chosen.side}px`); });
  label.append(range);
  form.append(label);
};
const axisOf = (name) => data.axes.find((axis) => axis.name === name) ?? { name: "", values: [""] };
const draw = () => {
  drawChoices();
  const across = axisOf(chosen.x), down = axisOf(chosen.y);
  const head = make("tr"), body = make("tbody");
  head.append(make("th", ""));
  for (const value of across.values) head.append(make("th", across.name ? `${called(across.name)} ${value}` : ""));
  shown = down.values.map((label, row) => {
    const line = make("tr"), places = across.values.map((_, column) => {
      const place = { ...chosen.at };
      if (across.name) place[across.name] = column;
      if (down.name) place[down.name] = row;
      return cells.get(keyOf(place));
    });
    line.append(make("th", down.name ? (down.name === "prompt" ? label : `${called(down.name)} ${label}`) : "", { scope: "row" }));
    places.forEach((cell, column) => {
      const box = make("td");
      if (cell && cell.there) {
        const button = make("button", undefined, { type: "button" });
        button.append(make("img", undefined, { src: cell.image, alt: cell.prompt, loading: "lazy", width: cell.size[0], height: cell.size[1] }));
        button.addEventListener("click", () => zoom(row, column));
        box.append(button);
      } else {
        box.append(make("div", "not made yet", { className: "gone" }));
      }
      line.append(box);
    });
    body.append(line);
    return places;
  });
  const top = make("thead");
  top.append(head);
  table.replaceChildren(top, body);
  table.style.setProperty("--side", `${chosen.side}px`);
};
const zoom = (row, column) => {
  const cell = (shown[row] ?? [])[column];
  if (!cell || !cell.there) return;
  open = [row, column];
  picture.src = cell.image;
  picture.alt = cell.prompt;
  const { place, image, there, size, ...rest } = cell;
  const lines = data.axes.map((axis) => `${called(axis.name)}: ${axis.values[place[axis.name]]}`);
  for (const [name, value] of Object.entries(rest)) if (value !== "" && !(name in place)) lines.push(`${called(name)}: ${value}`);
  facts.textContent = [...lines, `size: ${size.join("×")}`, image].join("\n");
  if (!large.open) large.showModal();
};
large.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step) return;
  event.preventDefault();
  zoom(open[0] + step[0], open[1] + step[1]);
});
large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
draw();
