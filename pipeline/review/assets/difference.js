// Two captions as one: what goes is struck out, what comes is marked.

import { element } from "./dom.js";

export function difference(before, after) {
  const [old, now] = [before, after].map((text) => text.split(", "));
  return [...new Set([...now, ...old])].map((tag, place) => [place ? ", " : "",
    element(!now.includes(tag) ? "del" : !old.includes(tag) ? "ins" : "span", {}, tag)]);
}
