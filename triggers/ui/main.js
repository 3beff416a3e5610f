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

let view = null; // { title, refresh(): seconds until the next refresh, or null for never }
let timer = null;
let failures = 0;
let round = 0; // only the last round that began sets the timer of the next

/** Reads the view's data again, shows it, and sets the timer of the next round. */
async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  let pauseS;
  try {
    pauseS = await view.refresh();
    failures = 0;
    connection.hidden = true;
    document.getElementById("refreshed").textContent = `Refreshed at ${clock()}`;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine !== round) return;
    if (error.status === 401) {
      signOut();
      showPerson();
      showSignIn(main, open);
      return;
    }
    if (error.status === 404 || error.status === 403 || error.status === 400) {
      show(main, h("h1", {}, error.status === 404 ? "Not found" : "Not possible"), h("p", {}, error.message));
      return;
    }
    failures += 1;
    connection.textContent = `${error.message} What is shown may be old.`;
    connection.hidden = false;
    pauseS = Math.max(error.retryAfterS ?? 0, Math.min(2 ** failures, MAX_PAUSE_S));
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
    if (!found) continue;
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
  show(main, h("h1", {}, "Not found"), h("p", {}, "There is no such view."));
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

try {
  await readSession();
  open();
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  connection.textContent = `${error.message} Reload the page in a minute.`;
  connection.hidden = false;
}
