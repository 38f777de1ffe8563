// Elements made of text and attributes, never of markup: names, tags and captions come from strangers.

/**
 * A new element. `attributes` that are functions become listeners (`onclick`), `class`, `dataset` and properties are set as
 * such, null and false are left out; children that are no nodes become text.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) set(made, key, value);
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function set(made, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") made.addEventListener(key.replace(/^on/, ""), value);
  else if (key === "class") made.className = value;
  else if (key === "dataset") Object.assign(made.dataset, value);
  else if (key === "style") for (const [name, text] of Object.entries(value)) made.style.setProperty(name, text);
  else if (key === "value" || key === "checked" || key === "disabled" || key === "tabIndex") made[key] = value;
  else made.setAttribute(key, value === true ? "" : String(value));
}

const SVG = "http://www.w3.org/2000/svg";

/** A new SVG element, by the same rules. */
export function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** Put these children in place of what an element held. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** The element with this id; an error in the page's own code where there is none. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

/** "1 image", "2,000 images". */
export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** Scroll a box, and nothing around it, until one of its children is seen. */
export function reveal(box, child) {
  const [outer, inner] = [box.getBoundingClientRect(), child.getBoundingClientRect()];
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top;
  else if (inner.bottom > outer.bottom) box.scrollTop += Math.min(inner.bottom - outer.bottom, inner.top - outer.top);
}
