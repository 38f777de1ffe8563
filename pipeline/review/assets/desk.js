// What every page of the desk has: the saved state, undo and redo, messages, and the look whether the record changed.

import { get, post, DeskError } from "./api.js";
import { byId, element, fill } from "./dom.js";
import { addKeys, showKeys } from "./keys.js";

const LOOK_EVERY = 2000;
const MESSAGE_STAYS = 6000;
const STALE_AFTER = 1500;
const listeners = [];
let version = 0;

/** Be told when the record changed, by this page, another tab or a command. */
export function onChange(listener) {
  listeners.push(listener);
}

/** A sentence at the foot of the page; `hint` says what to do about it. */
export function say(words, hint = "", kind = "") {
  const message = element("p", { class: `message ${kind}` }, element("span", {}, words), hint && element("small", {}, hint));
  byId("messages").append(message);
  setTimeout(() => message.remove(), kind === "wrong" ? 2 * MESSAGE_STAYS : MESSAGE_STAYS);
}

/** Tell what went wrong; what was broken off on purpose is nothing wrong. */
export function told(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof DeskError)) console.error(error);
  say(error.message, error.hint ?? "", "wrong");
}

function state(words, kind = "") {
  const place = byId("saved");
  place.textContent = words;
  place.className = `saved ${kind}`;
}

let last = Promise.resolve();

/** Do one act after the other, in the order in which they were asked for: an undo waits for what it undoes. */
function inTurn(act) {
  const turn = last.then(act);
  last = turn.catch(() => null);
  return turn;
}

/**
 * Have a decision written down. Returns the desk's answer, or null where it was refused; a conflict with what somebody else
 * decided meanwhile is shown, for the person to settle.
 */
export function decide(document, route = "decide") {
  state("saving …", "busy");
  return inTurn(() => written(document, route));
}

async function written(document, route) {
  try {
    const answer = await post(route, document);
    state(answer.run ? `saved · run ${answer.run}` : "saved");
    if (answer.words) say(answer.words);
    await changed(0, true);
    return answer;
  } catch (error) {
    state("not saved", "wrong");
    if (error.status === 409 && error.document.conflicts) return settle(document, error.document.conflicts, route);
    told(error);
    return null;
  }
}

/** Show what two people, or two tabs, decided differently, and do what is chosen. */
function settle(document, conflicts, route) {
  const dialog = byId("conflict");
  const rows = conflicts.map((each) => element("tr", {},
    element("td", {}, each.path), element("td", {}, each.theirs), element("td", {}, each.yours)));
  fill(byId("conflict-rows"), rows);
  byId("conflict-count").textContent = conflicts.length === 1 ? "One image was changed since you looked at it." :
    `${conflicts.length} images were changed since you looked at them.`;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", async () => {
      if (dialog.returnValue === "mine") {
        const seen = { ...document.seen };
        for (const each of conflicts) seen[each.id] = each.stamp;
        resolve(await written({ ...document, seen }, route));
      } else {
        state("left as it was");
        await changed(version, true);
        resolve(null);
      }
    }, { once: true });
  });
}

/** Tell all that show something; a version of 0 is whatever the next look finds, as the change was this page's own. */
async function changed(now, force = false) {
  if (now === version && !force) return;
  version = now;
  lookForStale();
  for (const listener of listeners) await listener();
}

async function back(route) {
  try {
    const answer = await post(route, {});
    say(answer.words);
    state(answer.words);
    await changed(0, true);
  } catch (error) {
    told(error);
  }
}

/** Offer to run again what a decision made stale; it takes as long as the stages take. */
async function stale() {
  const button = byId("update");
  const found = await get("stale").catch(() => ({ stale: [] }));
  button.hidden = !found.stale.length;
  button.textContent = `bring up to date: ${found.stale.join(", ")}`;
}

let staleTimer = 0;

function lookForStale() {
  clearTimeout(staleTimer);
  staleTimer = setTimeout(stale, STALE_AFTER);
}

let failed = false;

async function look() {
  if (!document.hidden) {
    try {
      const now = await get("version");
      if (failed) state("saved");
      failed = false;
      byId("busy").textContent = now.busy ? `${now.busy} is at work` : "";
      if (version && now.version !== version) {
        await changed(now.version);
        say("the set was changed elsewhere; what you see is new");
      }
      version = now.version;
    } catch (error) {
      if (!failed && error.name !== "AbortError") {
        state("the desk does not answer", "wrong");
        say("the desk does not answer", "start it again with prep review; what was saved is kept", "wrong");
      }
      failed = true;
    }
  }
  setTimeout(look, LOOK_EVERY);
}

byId("update").addEventListener("click", () => decide({}, "update"));
byId("undo").addEventListener("click", () => inTurn(() => back("undo")));
byId("redo").addEventListener("click", () => inTurn(() => back("redo")));
byId("help").addEventListener("click", showKeys);
addKeys("Everywhere", [
  { keys: ["Ctrl+Enter"], words: "bring up to date what is stale, where the button for it is shown", act: () => byId("update").hidden || byId("update").click() },
  { keys: ["Ctrl+z"], words: "undo your last decision, whichever page it was made on", act: () => inTurn(() => back("undo")) },
  { keys: ["Ctrl+Shift+z", "Ctrl+y"], words: "redo it", act: () => inTurn(() => back("redo")) },
  { keys: ["Alt+1", "Alt+2", "Alt+3", "Alt+4", "Alt+5", "Alt+6", "Alt+7"], shown: ["Alt+1 … 7"], words: "go to a page, in their order",
    act: (event) => document.querySelectorAll("nav a")[Number(event.code.slice(-1)) - 1]?.click() },
]);
look();
lookForStale();
