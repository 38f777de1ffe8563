// One small question at a time, in a dialog that is answered from the keyboard.

import { completing } from "./completing.js";
import { byId, element, fill } from "./dom.js";

/**
 * Ask for a line of text. `source` completes it; returns what was given, or null where the person went back.
 */
export function askText(title, { value = "", hint = "", source = null, rows = 1, label = title } = {}) {
  const dialog = byId("question");
  const field = rows > 1 ? element("textarea", { rows, value }) : element("input", { type: "text", value });
  field.setAttribute("aria-label", label);
  return answered(dialog, title, [element("div", { class: "field" }, field), hint && element("p", { class: "quiet" }, hint)], (done) => {
    if (source) completing(field, source, done);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing && !event.shiftKey && !event.defaultPrevented) {
        event.preventDefault();
        done(field.value);
      }
    });
    byId("question-yes").onclick = () => done(field.value);
    queueMicrotask(() => { field.focus(); field.select(); });
  });
}

/** Ask for one of a few: [{key, value, words}, …], each taken by its key, under `lines` of text. Returns the value, or null. */
export function askOne(title, choices, lines = []) {
  const dialog = byId("question");
  const list = element("ul", { class: "answers" });
  return answered(dialog, title, [lines.map((line) => element("p", {}, line)), list], (done) => {
    fill(list, choices.map((each) => element("li", {},
      element("button", { type: "button", onclick: () => done(each.value) }, element("kbd", {}, each.key), " ", each.words))));
    dialog.onkeydown = (event) => {
      const found = choices.find((each) => each.key === event.key);
      if (found && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        done(found.value);
      }
    };
    byId("question-yes").hidden = true;
    queueMicrotask(() => list.querySelector("button")?.focus());
  });
}

/** Ask whether to do what is told. */
export async function askWhether(title, lines, yes) {
  return (await askOne(title, [{ key: "y", value: true, words: yes }, { key: "n", value: null, words: "leave it as it is" }], lines)) === true;
}

function answered(dialog, title, content, ready) {
  byId("question-title").textContent = title;
  fill(byId("question-content"), content);
  const yes = byId("question-yes");
  yes.hidden = false;
  yes.onclick = null;
  dialog.onkeydown = null;
  return new Promise((resolve) => {
    let given = null;
    dialog.addEventListener("close", () => { dialog.onkeydown = null; resolve(given); }, { once: true });
    ready((value) => { given = value; dialog.close(); });
    dialog.showModal();
  });
}

byId("question-no").addEventListener("click", () => byId("question").close());
