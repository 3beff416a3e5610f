// What is restored now, what waits for whom, and what has ended.

import { h, select, show, table } from "./dom.js";
import { between, groupOf, nameOf, time } from "./format.js";
import { Pages } from "./pages.js";
import { badge, counts, errorText, expected, hasEnded, kindOf, pager, progress, waiting } from "./parts.js";
import { word, words } from "./words.js";

const ACTIVE = "Pending,Running,AwaitingApproval";
const ACTIVE_RECOVERIES = `${ACTIVE},Paused,Failed`; // one that failed may be retried
const NOT_OF_RECOVERIES = ["Rejected", "TimedOut"];
const STATUSES = [
  "AwaitingApproval",
  "Running",
  "Pending",
  "Completed",
  "CompletedWithWarnings",
  "Failed",
  "Cancelled",
  "Rejected",
  "TimedOut",
  "Planned",
];
const PERIODS = [
  ["", "any time"],
  ["3600", "the last hour"],
  ["86400", "the last day"],
  ["604800", "the last 7 days"],
];
const PAGE = 50;
const MAX_RECOVERIES = 20;

export function nowView({ main, refresh, query }) {
  const wanted = {
    status: query.get("status") ?? ACTIVE,
    text: query.get("text") ?? "",
    period: query.get("period") ?? "",
  };
  const after = wanted.period
    ? new Date(Math.floor(Date.now() / 60000) * 60000 - wanted.period * 1000).toISOString()
    : null;
  const parameters = new URLSearchParams();
  if (wanted.status) parameters.set("status", wanted.status);
  if (wanted.text) parameters.set("text", wanted.text);
  if (after) parameters.set("createdAfter", after);
  const restores = new Pages(`restores?${parameters}`, PAGE);
  if (wanted.status === ACTIVE) parameters.set("status", ACTIVE_RECOVERIES);
  const recoveries = new Pages(`recoveries?${parameters}`, MAX_RECOVERIES);

  function go(step) {
    restores.go(step);
    refresh();
  }

  async function read() {
    const [listed, found] = await Promise.all([
      restores.read(),
      NOT_OF_RECOVERIES.includes(wanted.status) ? [] : recoveries.read(),
    ]);
    const shown = found.filter(({ status, links }) => wanted.status !== ACTIVE || !hasEnded(status) || links.retry);
    show(
      main,
      h("h1", {}, "Now"),
      filters(wanted),
      recoveriesPart(shown),
      restoresPart(listed, wanted, restores.hasNext),
      pager(restores, go),
    );
    return [...listed, ...shown].some(({ status }) => !hasEnded(status)) ? 3 : 10;
  }

  return { title: "Now", refresh: read };
}

function filters(wanted) {
  function submit(event) {
    event.preventDefault();
    const form = new FormData(event.target.closest("form"));
    const query = new URLSearchParams([...form].filter(([name, value]) => value || name === "status"));
    location.hash = `/?${query}`;
  }
  const statuses = [
    [ACTIVE, "running or waiting"],
    ["", "all"],
    ...STATUSES.map((status) => [status, words.status[status].toLowerCase()]),
  ];
  return h(
    "form",
    { class: "filters", role: "search", onsubmit: submit },
    h("label", {}, "Status", select("status", statuses, wanted.status, submit)),
    h("label", {}, "Begun in", select("period", PERIODS, wanted.period, submit)),
    h("label", {}, "VM or text", h("input", { name: "text", type: "search", value: wanted.text, maxlength: 200 })),
    h("button", { type: "submit" }, "Filter"),
  );
}

function recoveriesPart(listed) {
  if (!listed.length) return null;
  const rows = listed.map((recovery) => [
    h("a", { href: `#/recoveries/${recovery.id}` }, recovery.plan),
    badge(recovery.status),
    counts(recovery.counts),
    between(recovery.createdTime, recovery.completedTime),
    time(recovery.predictedEnd) ?? "–",
    waiting(recovery) ?? "–",
  ]);
  return table(
    "Recoveries",
    ["Plan", "Status", "Members", "Elapsed", "Expected end", "Why it waits"],
    rows,
    listed.map((recovery) => recovery.id),
  );
}

function restoresPart(listed, wanted, hasOlder) {
  if (!listed.length) {
    const isFiltered = wanted.status !== ACTIVE || wanted.text || wanted.period;
    if (hasOlder) return h("p", { class: "empty" }, "No restore fits so far. “Older” searches on.");
    return h("p", { class: "empty" }, isFiltered ? "No restore fits the filter." : "No restore runs or waits.");
  }
  const rows = listed.map((restore) => [
    h(
      "span",
      {},
      h(
        "a",
        { href: `#/restores/${restore.id}`, title: restore.sourceResourceId },
        nameOf(restore.sourceResourceId) ?? restore.id,
      ),
      h("small", {}, groupOf(restore.sourceResourceId)),
    ),
    kindOf(restore),
    h(
      "span",
      {},
      badge(restore.status),
      !hasEnded(restore.status) && restore.status !== restore.phase && h("small", {}, word("phase", restore.phase)),
    ),
    progress(restore) ?? "–",
    between(restore.createdTime, restore.completedTime),
    restore.completedTime ? time(restore.completedTime) : (expected(restore) ?? "–"),
    waiting(restore) ?? errorText(restore.error) ?? "–",
  ]);
  return table(
    "Restores, newest first",
    ["VM", "Kind", "Status", "Progress", "Elapsed", "End", "Why"],
    rows,
    listed.map((restore) => restore.id),
  );
}
