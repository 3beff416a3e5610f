// The page: which view is shown, and when it is refreshed.

import { alertsView } from "./alerts.js";
import { ApiError } from "./api.js";
import { h, show } from "./dom.js";
import { clock } from "./format.js";
import { nowView } from "./now.js";
import { plansView, planView } from "./plans.js";
import { recoveryView } from "./recovery.js";
import { restoreView } from "./restore.js";
import { may, readSession, session, showSignIn, signOut } from "./session.js";
import { startView } from "./start.js";

const HIDDEN_S = 60;
const MAX_PAUSE_S = 60;
const MAX_RETRY_AFTER_S = 600;
const AFTER_REFUSAL_S = 30;

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const VIEWS = [
  [/^\/$/, nowView],
  [/^\/restores\/([0-9a-f-]+)$/, restoreView],
  [/^\/recoveries\/([0-9a-f-]+)$/, recoveryView],
  [/^\/start$/, startView],
  [/^\/plans$/, plansView],
  [/^\/plans\/([^/]+)$/, planView],
  [/^\/alerts$/, alertsView],
];
const REFUSALS = { 400: "Not possible", 403: "Not possible", 404: "Not found" };
const KEY_REFUSED = "The app refuses this key now: it was changed, or it is the key of one function. Take a host key.";

let view = null; // { title, refresh(): seconds until the next refresh, or null for never }
let timer = null;
let failures = 0;
let round = 0; // only the last round that began sets the timer of the next

/** Says what keeps the page from showing the present state; null for nothing. */
function warn(text) {
  if (connection.textContent !== (text ?? "")) connection.textContent = text ?? ""; // screen readers say each change
  connection.hidden = text === null;
}

/** Reads the view's data again, shows it, and sets the timer of the next round. */
async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  let pauseS;
  try {
    // One after the other: an older answer that comes late must not replace a newer one.
    view.reading = (view.reading ?? Promise.resolve()).catch(() => null).then(view.refresh);
    pauseS = await view.reading;
    if (mine !== round) return;
    failures = 0;
    warn(null);
    document.getElementById("refreshed").textContent = `Refreshed at ${clock()}. Version ${session.version}`;
  } catch (error) {
    if (mine !== round) return;
    if (error.status === 401) {
      const isKey = session.authentication === "functionKey";
      signOut();
      showPerson();
      showSignIn(main, open, isKey ? KEY_REFUSED : null);
      return;
    }
    if (REFUSALS[error.status]) {
      show(view.place, h("h1", {}, REFUSALS[error.status]), h("p", {}, error.message));
      warn(null);
      pauseS = AFTER_REFUSAL_S;
    } else {
      failures += 1;
      warn(`${error instanceof ApiError ? error.message : `The page failed: ${error}.`} What is shown may be old.`);
      const retryAfterS = Math.min(error.retryAfterS ?? 0, MAX_RETRY_AFTER_S);
      pauseS = Math.max(retryAfterS, Math.min(2 ** failures, MAX_PAUSE_S));
    }
  }
  if (mine !== round || pauseS === null) return;
  timer = setTimeout(refresh, 1000 * (document.hidden ? Math.max(pauseS, HIDDEN_S) : pauseS));
}

function open() {
  clearTimeout(timer);
  round += 1;
  const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
  for (const [pattern, make] of VIEWS) {
    const found = pattern.exec(path);
    if (!found || !isEncoded(path)) continue;
    if (!session.signedIn) {
      showPerson();
      showSignIn(main, open);
      return;
    }
    // Each visit has a place of its own: an answer that comes after the person has left the view shows up nowhere.
    const place = h("div", {}, h("p", {}, "Loading…"));
    main.replaceChildren(place);
    view = make({
      main: place,
      refresh,
      query: new URLSearchParams(query),
      id: found[1] && decodeURIComponent(found[1]),
    });
    view.place = place;
    document.title = `${view.title} – VM restores`;
    for (const link of document.querySelectorAll("header nav a")) {
      const isHere = link.getAttribute("href") === `#${path}` || (path.startsWith("/re") && link.hash === "#/");
      if (isHere) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    showPerson();
    refresh();
    return;
  }
  view = null;
  show(main, h("h1", {}, "Not found"), h("p", {}, "There is no such view."));
}

function isEncoded(text) {
  try {
    return decodeURIComponent(text) !== null;
  } catch {
    return false;
  }
}

function showPerson() {
  document.querySelector('header nav a[href="#/start"]').hidden = session.signedIn && !may("operate");
  const person = document.getElementById("person");
  if (!session.signedIn) show(person);
  else if (session.authentication === "functionKey")
    show(person, session.name, " ", h("button", { class: "plain", type: "button", onclick: leave }, "Forget key"));
  else show(person, session.name, " ", h("a", { href: "/.auth/logout" }, "Sign out"));
}

function leave() {
  signOut();
  open();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && view && session.signedIn) refresh();
});
addEventListener("hashchange", () => {
  open();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address after # names the view
  main.focus();
});
addEventListener("unhandledrejection", (event) => warn(`The page failed: ${event.reason}. Reload it.`));

try {
  await readSession();
  open();
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  warn(`${error.message} Reload the page in a minute.`);
}
