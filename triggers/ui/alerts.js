// The alert rules that are loaded, and the last decisions about alerts.

import { get } from "./api.js";
import { h, json, show, table } from "./dom.js";
import { isoDuration, nameOf, time } from "./format.js";
import { Pages } from "./pages.js";
import { kindCode, pager } from "./parts.js";
import { words } from "./words.js";

const PAGE = 20;
const TONES = { Started: "good", AwaitingApproval: "warn", CoolingDown: "warn", Refused: "bad" };

export function alertsView({ main, refresh }) {
  const alerts = new Pages("alert-decisions?", PAGE);

  function go(step) {
    alerts.go(step);
    refresh();
  }

  async function read() {
    const [rules, listed] = await Promise.all([get("alert-rules"), alerts.read()]);
    show(main, h("h1", {}, "Alerts"), rulesPart(rules), decisionsPart(listed), pager(alerts, go));
    return 10;
  }

  return { title: "Alerts", refresh: read };
}

function rulesPart(rules) {
  const rows = rules.rules.map((rule) => [
    rule.name,
    matchText(rule.match),
    actionText(rule),
    ruleApprovalText(rule),
    limitsText(rule),
  ]);
  return h(
    "section",
    {},
    rules.problems.length > 0 &&
      h(
        "div",
        { class: "box bad" },
        h("p", {}, "Alerts are off, because the rules cannot be used:"),
        h(
          "ul",
          {},
          rules.problems.map((text) => h("li", {}, text)),
        ),
      ),
    rows.length > 0
      ? table("Rules, the first that fits decides", ["Rule", "Fits", "Does", "Approval", "Limits"], rows)
      : h("p", { class: "empty" }, "No rules are loaded: every alert is ignored."),
    rules.storm &&
      h(
        "p",
        { class: "hint" },
        `Alerts about more than ${rules.storm.distinctVms ?? "?"} VMs within ${isoDuration(rules.storm.within) ?? "?"} wait for a person.`,
      ),
    json(rules),
  );
}

function matchText(match) {
  const parts = Object.entries(match ?? {}).map(([name, values]) => `${name}: ${[values].flat().join(", ")}`);
  return parts.join("; ") || "every alert";
}

function actionText(rule) {
  if (rule.deny) return "starts nothing";
  return rule.plan
    ? h("a", { href: `#/plans/${encodeURIComponent(rule.plan)}` }, `starts the plan ${rule.plan}`)
    : (words.kind[kindCode(rule.restore)] ?? "restores");
}

function ruleApprovalText(rule) {
  if (rule.deny) return "–";
  // The app never replaces disks because of an alert alone, whatever the rule says.
  const swaps = Boolean(rule.restore?.thenSwapDisks);
  const isInPlace = rule.restore?.recoveryType === "OriginalLocation";
  const approval = { ...rule.restore?.approval, ...rule.approval };
  const before = swaps && (approval.before ?? "Swap") === "Swap" ? ", before the swap" : "";
  if (approval.required || isInPlace || swaps)
    return `a person, within ${isoDuration(approval.timeout ?? "PT4H")}${before}`;
  return rule.plan ? "only if the plan replaces disks" : "not needed";
}

function limitsText(rule) {
  if (rule.deny) return "–";
  return [
    `once in ${isoDuration(rule.coolDown ?? "PT1H")} for a VM`,
    rule.maxPerHour && `at most ${rule.maxPerHour} an hour`,
  ]
    .filter(Boolean)
    .join(", ");
}

function decisionsPart(listed) {
  if (!listed.length) return h("p", { class: "empty" }, "No alert has come yet.");
  const rows = listed.flatMap((alert) =>
    alert.decisions.map((decision) => [
      time(alert.time),
      h("span", {}, alert.alertRule ?? alert.alertId, h("small", {}, alert.severity)),
      decision.sourceResourceId
        ? h("span", { title: decision.sourceResourceId }, nameOf(decision.sourceResourceId))
        : "–",
      h("span", { class: `badge ${TONES[decision.decision] ?? "plain"}` }, decision.decision),
      decision.reason,
      startedLink(decision),
    ]),
  );
  return table("Decisions about the last alerts", ["Time", "Alert", "VM", "Decision", "Why", "Started"], rows);
}

function startedLink(decision) {
  if (decision.restoreId) return h("a", { href: `#/restores/${decision.restoreId}` }, "restore");
  if (decision.recoveryId) return h("a", { href: `#/recoveries/${decision.recoveryId}` }, "recovery");
  return "–";
}
