// A list of the API in pages. An answer may be short, even empty, and yet not the last: more are read until a page is
// full.

import { get } from "./api.js";

const MAX_ANSWERS = 20;

/** Pages through `path` (with its query) by `nextLink`; `size` is how many entries a page shows. */
export class Pages {
  constructor(path, size) {
    Object.assign(this, { path, size, starts: [null], hasNext: false, next: null });
  }

  get number() {
    return this.starts.length;
  }

  /** Returns the entries of the present page. */
  async read() {
    const entries = [];
    const start = this.starts.at(-1);
    let token = start;
    for (let answers = 0; answers < MAX_ANSWERS && entries.length < this.size; answers += 1) {
      const more = token ? `&continuationToken=${encodeURIComponent(token)}` : "";
      const answer = await get(`${this.path}&top=${this.size - entries.length}${more}`);
      entries.push(...answer.value);
      token = answer.nextLink ? new URL(answer.nextLink).searchParams.get("continuationToken") : null;
      if (!token) break;
    }
    if (start === this.starts.at(-1)) {
      this.next = token;
      this.hasNext = token !== null;
    }
    return entries;
  }

  /** Goes one page on (1) or back (-1). */
  go(step) {
    if (step > 0 && this.next) this.starts.push(this.next);
    if (step < 0 && this.starts.length > 1) this.starts.pop();
    this.next = null; // known when the page has been read: a second click before that goes nowhere
    this.hasNext = false;
  }
}
