"use strict";
const number = (text) => Number.parseFloat(text.replace(/[\s\u202f×]/g, ""));
const compare = (one, other) => {
  const left = number(one), right = number(other);
  if (Number.isNaN(left) !== Number.isNaN(right)) return Number.isNaN(left) ? 1 : -1;
  return Number.isNaN(left) ? one.localeCompare(other) : left - right;
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[place].textContent.trim();
      const rows = [...body.rows].sort((one, other) => {
        const empty = (text(one) === "") - (text(other) === "");
        return empty || (down ? -1 : 1) * compare(text(one), text(other));
      });
      body.append(...rows);
    });
  });
}
