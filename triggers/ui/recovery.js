// One recovery: its groups in order, who waits for whom, its members, and what can be done.

import { get } from "./api.js";
import { commandButton } from "./commands.js";
import { facts, h, json, select, show, table } from "./dom.js";
import { between, isoDuration, nameOf, time } from "./format.js";
import { graph } from "./graph.js";
import { Pages } from "./pages.js";
import {
  announce,
  approvalText,
  badge,
  counts,
  errorText,
  givenBy,
  hasEnded,
  pager,
  problem,
  startedBy,
  waiting,
  warnings,
} from "./parts.js";
import { word } from "./words.js";

const PAGE = 50;
const RETRIABLE = new Set(["Failed", "Rejected"]);
const SKIPPABLE = new Set(["Failed", "Rejected", "Pending", "AwaitingApproval"]);

export function recoveryView({ main, refresh, id, query }) {
  const wanted = { group: query.get("group") ?? "", status: query.get("status") ?? "" };
  const parameters = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  const members = new Pages(`recoveries/${id}/members?${parameters}`, PAGE);

  function go(step) {
    members.go(step);
    refresh();
  }

  async function read() {
    const [recovery, listed] = await Promise.all([get(`recoveries/${id}`), members.read()]);
    announce(id, `Recovery ${recovery.plan}`, recovery.status);
    show(
      main,
      h("h1", {}, `Recovery: ${recovery.plan}`, " ", badge(recovery.status)),
      actions(recovery, refresh),
      waitingBox(recovery),
      problem(recovery.error),
      warnings(recovery.warnings),
      overview(recovery),
      groupsPart(recovery, refresh),
      membersPart(recovery, listed, wanted, id),
      pager(members, go),
      json(recovery),
    );
    return hasEnded(recovery.status) && !recovery.links.retry ? 30 : 3;
  }

  return { title: "Recovery", refresh: read };
}

const COMMANDS = {
  approve: { text: "Approve", right: "approve", consequences: (of) => [`The members of ${of} are restored.`] },
  reject: {
    text: "Reject",
    right: "approve",
    consequences: (of) => [`Nothing of ${of} is restored, and nothing that waits for it starts. Retry asks again.`],
  },
  retry: {
    text: "Retry",
    right: "operate",
    consequences: (of) => [`The members of ${of} that failed are started again, as new restores.`],
  },
  skip: {
    text: "Skip",
    right: "operate",
    consequences: (of) => [`${of} counts as done, whatever its state. What waits for it starts.`],
    isDangerous: true,
  },
  pause: { text: "Pause", right: "operate", consequences: () => ["Nothing new starts. What runs goes on to its end."] },
  resume: { text: "Resume", right: "operate", consequences: () => ["Members start again, in their order."] },
  cancel: {
    text: "Cancel",
    right: "operate",
    consequences: (of, recovery) => [
      `What has not started of ${of} never starts. What runs (${recovery.counts.Running ?? 0} restores) is cancelled where Azure still can, and followed to its real end.`,
    ],
    isDangerous: true,
  },
};

function button(name, recovery, refresh, group = null) {
  const { text, right, consequences, isDangerous } = COMMANDS[name];
  const of = group ? `the group ${group.name}` : `the recovery of ${recovery.plan}`;
  return commandButton({
    command: name,
    text,
    label: group ? `${text} ${group.name}` : null,
    right,
    links: recovery.links,
    done: refresh,
    question: {
      title: `${text} ${of}`,
      consequences: consequences(of, recovery),
      button: text,
      path: `recoveries/${recovery.id}/${name}`,
      body: group ? { group: group.name } : {},
      isDangerous,
    },
  });
}

function actions(recovery, refresh) {
  const names = ["pause", "resume", "retry", "cancel"];
  if (recovery.approval && !recovery.approval.decision) names.unshift("approve", "reject");
  return h(
    "div",
    { class: "actions" },
    names.map((name) => button(name, recovery, refresh)),
  );
}

function waitingBox(recovery) {
  if (!recovery.waiting && !recovery.paused) return null;
  return h(
    "section",
    { class: "box warn", "data-key": "waiting" },
    recovery.paused && h("p", {}, "Paused ", givenBy(recovery.paused), ". Nothing new starts until it is resumed."),
    recovery.waiting && h("p", {}, waiting(recovery), "."),
    approvalText(recovery.approval),
  );
}

function overview(recovery) {
  return facts([
    ["Members", counts(recovery.counts)],
    ["Elapsed", between(recovery.createdTime, recovery.completedTime)],
    ["Predicted end", time(recovery.predictedEnd)],
    ["Ended", time(recovery.completedTime)],
    ["Oldest point (RPO)", isoDuration(recovery.measured?.rpo?.worst)],
    ["Time to recover (RTO)", isoDuration(recovery.measured?.rto)],
    ["Planned duration", isoDuration(recovery.result?.duration)],
    ["Kind", recovery.dryRun && "only planned: nothing is restored"],
    ["Started by", startedBy(recovery)],
    ["Reason", recovery.reason],
    ["Cancelled", givenBy(recovery.cancellation)],
    ["Request id", recovery.requestId],
  ]);
}

function groupsPart(recovery, refresh) {
  if (!recovery.groups.length) return null;
  const rows = recovery.groups.map((group) => [
    h("span", {}, group.name, group.optional && h("small", {}, "optional")),
    badge(group.status),
    counts(group.counts),
    group.waitingFor.length ? group.waitingFor.join(", ") : (approvalText(group.approval) ?? "–"),
    between(group.started, group.ended) ?? "–",
    h("span", { class: "actions" }, groupButtons(recovery, group, refresh)),
  ]);
  return h(
    "section",
    { "data-key": "groups" },
    h("h2", {}, "Groups"),
    graph(recovery.groups, new Set(recovery.criticalPath ?? [])),
    table(
      "Groups in the order of the plan",
      ["Group", "Status", "Members", "Waits for", "Took", "Actions"],
      rows,
      recovery.groups.map((group) => group.name),
    ),
  );
}

function groupButtons(recovery, group, refresh) {
  const names = [];
  if (group.status === "AwaitingApproval") names.push("approve", "reject");
  if (RETRIABLE.has(group.status)) names.push("retry");
  if (SKIPPABLE.has(group.status)) names.push("skip");
  return names.map((name) => button(name, recovery, refresh, group));
}

function membersPart(recovery, listed, wanted, id) {
  function submit(event) {
    event.preventDefault();
    const query = new URLSearchParams([...new FormData(event.target.closest("form"))].filter(([, value]) => value));
    location.hash = `/recoveries/${id}?${query}`;
  }
  const groups = [["", "all groups"], ...recovery.groups.map((group) => [group.name, group.name])];
  const statuses = [
    ["", "all"],
    ...Object.keys(recovery.counts).map((status) => [status, word("status", status).toLowerCase()]),
  ];
  const rows = listed.map((member) => [
    h(
      "span",
      { title: member.sourceResourceId },
      member.restoreId
        ? h("a", { href: `#/restores/${member.restoreId}` }, nameOf(member.sourceResourceId))
        : nameOf(member.sourceResourceId),
    ),
    member.group,
    badge(member.status),
    String(member.attempt),
    time(member.recoveryPointTime) ?? "–",
    isoDuration(member.measuredRpo) ?? "–",
    errorText(member.error) ?? "–",
  ]);
  return h(
    "section",
    { "data-key": "members" },
    h("h2", {}, "Members"),
    h(
      "form",
      { class: "filters", onsubmit: submit },
      h("label", {}, "Group", select("group", groups, wanted.group, submit)),
      h("label", {}, "Status", select("status", statuses, wanted.status, submit)),
    ),
    rows.length > 0
      ? table(
          "Virtual machines in the order of the plan",
          ["VM", "Group", "Status", "Attempt", "Recovery point", "Age", "Error"],
          rows,
          listed.map((member) => String(member.index)),
        )
      : h("p", { class: "empty" }, "No member fits, or the members are being chosen."),
  );
}
