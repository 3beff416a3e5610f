// The configured recovery plans, and the start of one.

import { get, post } from "./api.js";
import { confirmCommand } from "./dialog.js";
import { facts, h, json, show, table } from "./dom.js";
import { Attempt, untilEnded } from "./dry_run.js";
import { isoDuration } from "./format.js";
import { graph } from "./graph.js";
import { badge, kindCode, problem, say, total, warnings } from "./parts.js";
import { may, requestedBy } from "./session.js";
import { word } from "./words.js";

export function plansView({ main }) {
  async function read() {
    const plans = await get("recovery-plans");
    const rows = plans.value.map((plan) => [
      h("a", { href: `#/plans/${encodeURIComponent(plan.name)}` }, plan.name),
      orderOf(plan),
      String(plan.namedMembers),
      capOf(plan),
    ]);
    show(
      main,
      h("h1", {}, "Recovery plans"),
      rows.length > 0
        ? table(
            "Configured plans",
            ["Plan", "Order of its groups", "VMs named", "At most at a time"],
            rows,
            plans.value.map((plan) => plan.name),
          )
        : h("p", { class: "empty" }, "No plan is configured. RECOVERY_PLANS names the file of the plans."),
    );
    return 60;
  }
  return { title: "Plans", refresh: read };
}

export function planView({ main, id: name }) {
  const requestId = `page-${crypto.randomUUID()}`; // one recovery for a visit, however often an answer gets lost
  let plan = null;
  let dryRun = null;
  const attempt = new Attempt(render);

  function render() {
    const groups = groupsOf(plan);
    show(
      main,
      h("h1", {}, `Plan: ${plan.name}`),
      facts([
        ["Order", orderOf(plan)],
        ["VMs named", String(plan.namedMembers)],
        ["At most at a time", capOf(plan)],
      ]),
      graph(groups, new Set()),
      h(
        "div",
        { class: "actions" },
        may("operate") &&
          h(
            "button",
            { type: "button", class: "plain", disabled: attempt.isBusy, onclick: runDry, "data-key": "dry" },
            attempt.isBusy ? "Planning…" : "Plan (dry run)",
          ),
        may("operate") && h("button", { type: "button", onclick: start, "data-key": "start" }, "Start this recovery"),
      ),
      problem(attempt.failure),
      dryRun && dryRunPart(),
      json(plan),
    );
  }

  function dryRunPart() {
    const failed = dryRun.failedMembers ?? [];
    return h(
      "section",
      { class: "box" },
      h("h2", {}, "Dry run ", badge(dryRun.status)),
      facts([
        ["Would take", isoDuration(dryRun.result?.duration)],
        ["Members", String(total(dryRun.counts))],
        ["All of it", h("a", { href: `#/recoveries/${dryRun.id}` }, "the planned recovery with its members")],
      ]),
      problem(dryRun.error),
      warnings(dryRun.warnings),
      failed.length > 0 &&
        table(
          "Members that would fail",
          ["Group", "Error", "Why"],
          failed.map((member) => [member.group, member.code ?? "–", member.message ?? "–"]),
        ),
    );
  }

  function runDry() {
    return attempt.make(async () => {
      const accepted = await post("recoveries", { plan: plan.name, dryRun: true, ...requestedBy() });
      dryRun = await untilEnded(`recoveries/${accepted.id}`);
      say(`Dry run: ${word("status", dryRun.status)}`);
    });
  }

  async function start() {
    const given = await confirmCommand({
      title: `Start the recovery by the plan ${plan.name}`,
      consequences: [
        `The VMs of ${plan.order.flat().length} groups are restored, in the order ${orderOf(plan)}.`,
        kindsOf(plan),
        dryRun ? "A dry run was made; its outcome is on the page." : "No dry run was made on this page.",
      ],
      button: "Start the recovery",
      path: "recoveries",
      body: { plan: plan.name, requestId },
      isStart: true,
      isDangerous: true,
    });
    if (given) location.hash = `/recoveries/${given.id}`;
  }

  return {
    title: `Plan ${name}`,
    async refresh() {
      plan = await get(`recovery-plans/${encodeURIComponent(name)}`);
      render();
      return null;
    },
  };
}

/** Returns the order of a plan's groups: those with + between them may start at the same time. */
function orderOf(plan) {
  return plan.order.map((wave) => wave.join(" + ")).join(" → ");
}

function capOf(plan) {
  return plan.maxRunning ? String(plan.maxRunning) : "no cap of its own";
}

/** Returns a sentence that says what the restores of a plan do to the VMs or beside them. */
function kindsOf({ plan: { restore, groups } }) {
  const kinds = new Set(groups.map((group) => kindCode({ ...restore, ...group.restore })));
  return `What is made: ${[...kinds].map((kind) => word("kind", kind)?.toLowerCase()).join("; ")}.`;
}

/** Returns the groups of a plan in the shape of a recovery's groups, with nothing counted yet. */
function groupsOf(plan) {
  const written = plan.plan.groups;
  return written.map((group, index) => ({
    name: group.name,
    after: group.after ?? (index ? [written[index - 1].name] : []),
    status: "Pending",
    counts: {},
  }));
}
