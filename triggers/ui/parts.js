// What several views show alike.

import { h } from "./dom.js";
import { duration, expectedEnd, nameOf, time } from "./format.js";
import { sentence, word, words } from "./words.js";

const ENDED = new Set([
  "Completed",
  "CompletedWithWarnings",
  "Failed",
  "Cancelled",
  "Rejected",
  "TimedOut",
  "Planned",
  "Skipped",
]);
const TONES = {
  Completed: "good",
  Planned: "good",
  CompletedWithWarnings: "warn",
  AwaitingApproval: "warn",
  Paused: "warn",
  Failed: "bad",
  TimedOut: "bad",
  Rejected: "bad",
};

/** Returns whether what has this status has ended. */
export function hasEnded(status) {
  return ENDED.has(status);
}

/** Returns a status in words. */
export function badge(status) {
  return h("span", { class: `badge ${TONES[status] ?? "plain"}` }, word("status", status));
}

/** Returns how many members have each status, in words. */
export function counts(given) {
  const texts = Object.entries(given).map(([status, count]) => `${count} ${word("status", status).toLowerCase()}`);
  return texts.join(", ") || "being chosen";
}

/** Returns the number of all members, of which `given` has how many have each status. */
export function total(given) {
  return Object.values(given).reduce((sum, count) => sum + count, 0);
}

/** Returns what started a restore or recovery, and who asked for it. */
export function startedBy(document) {
  const requester = document.requestedBy ? ` (${document.requestedBy})` : "";
  return `${word("startedBy", document.startedBy)}${requester}`;
}

const USES = ["thenSwapDisks", "thenCreateVirtualMachine", "thenAttachDisks"];

/** Returns the code of what a request makes, or a template of requests. */
export function kindCode(request) {
  return USES.find((use) => request?.[use]) ?? request?.recoveryType;
}

/** Returns the kind of a restore in words. */
export function kindOf(restore) {
  const kind = word("kind", restore.undoOf ? "undo" : kindCode({ ...restore, ...restore.request }));
  return restore.request?.dryRun ? `${kind} (only planned)` : kind;
}

/** Returns the progress of a restore: a bar with Azure's percentage, or nothing if Azure has named none. */
export function progress(restore) {
  const percent = restore.progressPercentage;
  if (percent === null || percent === undefined) return null;
  const label = `Progress of ${nameOf(restore.sourceResourceId)}`;
  return h(
    "span",
    { class: "progress" },
    h("progress", { max: 100, value: percent, "aria-label": label }),
    ` ${Math.round(percent)} %`,
  );
}

/** Returns why something waits, and until when; null if it does not wait. */
export function waiting(document) {
  if (!document.waiting) return null;
  const until = document.waiting.until;
  return h("span", {}, `Waits: ${word("waiting", document.waiting.reason)}`, until && [", until ", time(until)]);
}

/** Returns when a restore is expected to end, by Azure's percentage. */
export function expected(restore) {
  const end = expectedEnd(restore);
  if (end === null) return null;
  const left = end - Date.now();
  return h("span", {}, time(end.toISOString()), left > 0 ? ` (in ${duration(left)})` : " (any minute)");
}

/** Returns warnings with what to do about each; null if there are none. */
export function warnings(list) {
  if (!list?.length) return null;
  const items = list.map((warning) =>
    h(
      "li",
      {},
      h("strong", {}, warning.code),
      ": ",
      warning.message,
      warning.settledTime && h("span", {}, " It ended at ", time(warning.settledTime), "."),
      !warning.settledTime &&
        words.warningAdvice[warning.code] &&
        h("p", { class: "advice" }, "What to do: ", sentence(words.warningAdvice[warning.code])),
    ),
  );
  return h("section", { class: "box warn", "data-key": "warnings" }, h("h2", {}, "Warnings"), h("ul", {}, items));
}

/** Returns an error on one line; null if there is none. */
export function errorText(error) {
  return error ? `${error.code}: ${error.message}` : null;
}

/** Returns what Microsoft's support asks for: the HTTP status of Azure's answer and the ids in it. */
function azureAnswer(additionalInfo) {
  const info = additionalInfo?.[0]?.info;
  if (!info) return null;
  return h(
    "small",
    {},
    `Azure's answer: ${Object.entries(info)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ")}`,
  );
}

/** Returns an error with its details and what to do; null if there is none. */
export function problem(error) {
  if (!error) return null;
  const advice = words.errorAdvice[error.code];
  return h(
    "section",
    { class: "box bad", "data-key": "error" },
    h("h2", {}, "Error"),
    h("p", {}, h("strong", {}, error.code), ": ", error.message),
    error.details?.length > 0 &&
      h(
        "ul",
        {},
        error.details.map((detail) =>
          h(
            "li",
            {},
            h("code", {}, detail.code),
            detail.target && [" ", h("code", {}, detail.target)],
            ": ",
            detail.message,
            azureAnswer(detail.additionalInfo),
          ),
        ),
      ),
    advice && h("p", { class: "advice" }, "What to do: ", sentence(advice)),
  );
}

/** Returns a decision of a person, or what is waited for. */
export function approvalText(approval) {
  if (!approval) return null;
  if (approval.decision)
    return h(
      "span",
      {},
      `${approval.decision} by ${approval.by ?? "?"} at `,
      time(approval.time),
      approval.comment && `: ${approval.comment}`,
    );
  return h(
    "span",
    {},
    approval.reason && `${sentence(approval.reason)} `,
    approval.expires && ["Until ", time(approval.expires), "."],
  );
}

/** Returns who gave a command, when and why. */
export function givenBy(command) {
  if (!command) return null;
  return h("span", {}, `by ${command.by ?? "?"} at `, time(command.time), command.comment && `: ${command.comment}`);
}

/** Tells screen readers something. */
export function say(text) {
  document.getElementById("announcement").textContent = text;
}

let lastAnnounced = new Map();

/** Tells screen readers when the status of this thing has changed since the last call. */
export function announce(key, name, status) {
  const before = lastAnnounced.get(key);
  lastAnnounced = new Map([[key, status]]);
  if (before && before !== status) say(`${name}: ${word("status", status)}`);
}

/** Returns buttons for the next and the previous page. */
export function pager(pages, go) {
  if (pages.number === 1 && !pages.hasNext) return null;
  return h(
    "nav",
    { class: "actions", "aria-label": "Pages" },
    h("button", { type: "button", class: "plain", disabled: pages.number === 1, onclick: () => go(-1) }, "Newer"),
    h("span", {}, `Page ${pages.number}`),
    h("button", { type: "button", class: "plain", disabled: !pages.hasNext, onclick: () => go(1) }, "Older"),
  );
}
