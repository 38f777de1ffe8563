// What is decided about images: keys, each asking for what it needs, on the selection or the active image.

import { askOne, askText, askWhether } from "./asking.js";
import { complete } from "./completing.js";
import { decide, say } from "./desk.js";
import { counted } from "./dom.js";

const MANY = 200;
const ANCHORS = [
  { key: "1", value: "centre", words: "the middle" },
  { key: "2", value: "top", words: "the upper edge" },
  { key: "3", value: "bottom", words: "the lower edge" },
  { key: "4", value: "left", words: "the left edge" },
  { key: "5", value: "right", words: "the right edge" },
  { key: "6", value: "subject", words: "where the detail is" },
  { key: "0", value: "", words: "whatever the settings say" },
];

/**
 * The keys that decide. `meant()` gives the ids that a decision is about, `seen(ids)` the stamps of what the person saw of
 * them, `after(choice)` is called when it was written down, `shown(id)` gives what is known of one image.
 */
export function decisionKeys({ meant, seen, after, shown }) {
  const put = async (choice) => {
    const ids = meant();
    if (!ids.length) return;
    if (ids.length > MANY && !(await askWhether(`Decide about ${counted(ids.length, "image")}?`, [], "do it"))) return;
    const answer = await decide({ ids, choice, seen: seen(ids) });
    if (answer) after(choice, ids);
  };
  const one = () => (meant().length === 1 ? shown(meant()[0]) : null);
  const many = () => (meant().length === 1 ? "this image" : counted(meant().length, "image"));

  const anchor = async () => {
    const value = await askOne(`The crop of ${many()} holds on to`, ANCHORS);
    if (value !== null) await put({ anchor: value || null });
  };
  const repeats = async () => {
    const typed = await askText(`Repeats of ${many()}`, {
      value: one()?.repeats ?? "", hint: "how often it is shown in an epoch; empty for what the balance gives" });
    if (typed === null) return;
    const number = Number(typed);
    if (typed !== "" && !(number > 0)) say(`${typed} is no number above 0`, "r asks again", "wrong");
    else await put({ repeats: typed === "" ? null : number });
  };
  const tag = async (what, title) => {
    const typed = await askText(`${title} ${many()}`, { source: (text) => complete("tag", text), hint: "several with commas between" });
    const tags = (typed ?? "").split(",").map((each) => each.trim()).filter(Boolean);
    if (tags.length) await put({ [what]: tags });
  };
  const caption = async () => {
    if (meant().length !== 1) return say("a caption is written for one image", "x takes an image out of the selection");
    const image = one();
    const text = await askText(`Caption of ${image?.name ?? "this image"}`, { value: image?.caption ?? "", rows: 6,
      hint: "Enter saves, Shift+Enter makes a new line, Esc goes back; an empty one is taken back to curation's" });
    if (text !== null && text !== image?.caption) await put({ caption: text.trim() ? text : null });
  };

  return [
    { keys: ["k"], words: "keep", act: () => put({ keep: true }) },
    { keys: ["d", "Delete"], words: "drop: it stays in the set and is not trained on", act: () => put({ keep: false }) },
    { keys: ["b"], words: "back to what check decides", act: () => put({ keep: null }) },
    { keys: ["a"], words: "crop anchor", act: anchor },
    { keys: ["r"], words: "repeats", act: repeats },
    { keys: ["e"], words: "edit the caption", act: caption },
    { keys: ["t"], words: "add tags", act: () => tag("add", "Add tags to") },
    { keys: ["T"], words: "remove tags", act: () => tag("remove", "Remove tags from") },
  ];
}
