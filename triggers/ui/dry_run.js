// What a view needs to make a dry run: to wait for its end, and to show meanwhile that it runs.

import { ApiError, get } from "./api.js";
import { hasEnded, say } from "./parts.js";

const FIRST_PAUSE_MS = 300;
const MAX_PAUSE_MS = 3000;

/** Returns the document at `path`, such as `restores/ID`, once what it shows has ended. */
export async function untilEnded(path) {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, MAX_PAUSE_MS)) {
    const document = await get(path);
    if (hasEnded(document.status)) return document;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** One thing that a view does at a time: `isBusy` while it goes on, `failure` if the app refused it. */
export class Attempt {
  constructor(render) {
    Object.assign(this, { render, isBusy: false, failure: null });
  }

  /** Does `work`, and shows the view before and after it. */
  async make(work) {
    this.failure = null;
    this.isBusy = true;
    this.render();
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.failure = error;
      say(error.message);
    } finally {
      this.isBusy = false;
      this.render();
    }
  }
}
