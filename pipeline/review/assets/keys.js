// Keys, each said once: the table that handles them is the one that `?` shows.

import { element, byId, fill } from "./dom.js";

const groups = [];

/**
 * Add keys that work while `when()` holds; the group added last goes first. A key is {keys: ["k"], words, act}, with `shown`
 * where it is printed otherwise, `typing` where it works in text fields too, `inDialog` where in dialogs; names are those of KeyboardEvent.key with modifiers in front: "Ctrl+z", "Shift+ArrowLeft". Returns a function that takes
 * the group away.
 */
export function addKeys(title, entries, when = () => true) {
  const group = { title, entries, when };
  groups.unshift(group);
  return () => groups.splice(groups.indexOf(group), 1);
}

/** The name of a pressed key, as the table has it. Ctrl and macOS' Command are one. */
export function nameOf(event) {
  const shifted = event.shiftKey && (event.key.length > 1 || event.ctrlKey || event.metaKey || event.altKey);
  const key = event.key.length === 1 && (event.ctrlKey || event.metaKey || event.altKey) ? event.key.toLowerCase() : event.key;
  return [event.ctrlKey || event.metaKey ? "Ctrl+" : "", event.altKey ? "Alt+" : "", shifted ? "Shift+" : "", key].join("");
}

/** Whether what has the focus takes letters: there, keys are text. */
export function isTyping(target) {
  if (!(target instanceof Element)) return false;
  return target.closest("input:not([type=checkbox]):not([type=range]):not([type=radio]), textarea, select, [contenteditable=true]") !== null;
}

function pressed(event) {
  if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
  const name = nameOf(event);
  const typing = isTyping(event.target);
  const inDialog = document.querySelector("dialog[open]");
  for (const group of [...groups]) {
    if (!group.when()) continue;
    for (const entry of group.entries) {
      if (!entry.keys.includes(name)) continue;
      if (typing && !entry.typing) continue;
      if (inDialog && !entry.inDialog) continue;
      if (entry.act(event) !== false) event.preventDefault();
      return;
    }
  }
}

const SHOWN = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space", Escape: "Esc",
  PageUp: "PgUp", PageDown: "PgDn", Delete: "Del",
};

/** A key as it is printed on a keyboard. */
export function printed(name) {
  const parts = name === "+" ? ["+"] : name.split("+");
  return parts.map((part) => SHOWN[part] ?? (part.length === 1 && parts.length > 1 ? part.toUpperCase() : part)).join("+");
}

/** Fill and open the list of keys that work here. */
export function showKeys() {
  const dialog = byId("keys");
  const titles = new Map();
  for (const group of groups.filter((each) => each.when())) {
    titles.set(group.title, [...(titles.get(group.title) ?? []), ...group.entries.filter((entry) => entry.words)]);
  }
  fill(byId("keys-list"), [...titles].map(([title, entries]) => element("section", {},
    element("h3", {}, title),
    element("dl", {}, entries.map((entry) => [
      element("dt", {}, (entry.shown ?? entry.keys.map(printed)).map((key) => element("kbd", {}, key))),
      element("dd", {}, entry.words),
    ])))));
  dialog.showModal();
}

document.addEventListener("keydown", pressed);
addKeys("Everywhere", [
  { keys: ["?"], words: "show these keys", act: showKeys },
]);
