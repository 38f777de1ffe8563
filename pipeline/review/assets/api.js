// The one way a page speaks with the desk: JSON, under the address of this run, with its secret where something is written.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
export const BASE = meta("desk-base");
const SECRET = meta("desk-secret");

/** An address of the desk's own, as its answers name it. */
export const at = (address) => `${BASE}/${address}`;

/** What the desk refused or could not do, with what to do about it. */
export class DeskError extends Error {
  constructor(status, document) {
    super(document.error ?? `the desk answered ${status}`);
    this.status = status;
    this.hint = document.hint ?? "";
    this.document = document;
  }
}

/** Ask for a document: `get("images", {q: "tag:smile"})`. Lists are joined with commas. */
export async function get(name, asked = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(asked)) if (value !== null && value !== undefined) query.set(key, value);
  const tail = query.size ? `?${query}` : "";
  return read(fetch(`${BASE}/api/${name}${tail}`, { signal, headers: { Accept: "application/json" } }));
}

/** Have something done, and learn what came of it. */
export async function post(name, document) {
  return read(
    fetch(`${BASE}/api/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Prep-Desk": SECRET },
      body: JSON.stringify(document),
    }),
  );
}

async function read(asked) {
  let answer;
  try {
    answer = await asked;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new DeskError(0, { error: "the desk does not answer", hint: "start it again with prep review; nothing that was saved is lost" });
  }
  const document = await answer.json().catch(() => ({ error: `the desk answered ${answer.status} and no JSON` }));
  if (!answer.ok) throw new DeskError(answer.status, document);
  return document;
}

const GATHERED_FOR = 20;
const MOST_AT_ONCE = 200;
const KEPT = 6000;

/** Cells of images by id, asked for together and kept while the record stays as it is. */
export class Cells {
  constructor() {
    this.known = new Map();
    this.wanted = new Map();
    this.timer = 0;
  }

  /** What is known of an image now, or nothing. */
  now(id) {
    return this.known.get(id);
  }

  /** What an image's cell shows, as soon as it is here. */
  of(id) {
    const known = this.known.get(id);
    if (known) return Promise.resolve(known);
    const waiting = this.wanted.get(id);
    if (waiting) return waiting.promise;
    const asked = Promise.withResolvers ? Promise.withResolvers() : deferred();
    this.wanted.set(id, asked);
    if (!this.timer) this.timer = setTimeout(() => this.send(), GATHERED_FOR);
    return asked.promise;
  }

  async send() {
    this.timer = 0;
    const batch = [...this.wanted.entries()].slice(-MOST_AT_ONCE);
    for (const [id] of batch) this.wanted.delete(id);
    if (this.wanted.size) this.timer = setTimeout(() => this.send(), GATHERED_FOR);
    try {
      const { cells } = await get("cells", { ids: batch.map(([id]) => id).join(",") });
      const found = new Map(cells.map((cell) => [cell.id, cell]));
      for (const [id, asked] of batch) {
        const cell = found.get(id) ?? { id, gone: true, name: "no longer in the set", tags: [], flags: [] };
        this.keep(cell);
        asked.resolve(cell);
      }
    } catch (error) {
      for (const [, asked] of batch) asked.reject(error);
    }
  }

  keep(cell) {
    if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value);
    this.known.set(cell.id, cell);
  }

  /** Forget some cells, or all: they have changed. */
  forget(ids = null) {
    if (ids === null) this.known.clear();
    else for (const id of ids) this.known.delete(id);
  }
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
