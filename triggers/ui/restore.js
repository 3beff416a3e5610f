// One restore: how far it is, why, what Azure said, and what can be done.

import { get } from "./api.js";
import { commandButton } from "./commands.js";
import { attachmentConsequences, attachmentPart, newMachineConsequences, newMachinePart, usesDisks } from "./disks.js";
import { facts, h, json, show, table } from "./dom.js";
import { between, groupOf, isoDuration, nameOf, resource, time } from "./format.js";
import {
  announce,
  approvalText,
  badge,
  expected,
  givenBy,
  hasEnded,
  kindOf,
  problem,
  progress,
  startedBy,
  waiting,
  warnings,
} from "./parts.js";
import {
  awaitsSwap,
  cancelSwapConsequences,
  followUpPart,
  swapConsequences,
  swapPart,
  undoConsequences,
} from "./swap.js";
import { sentence, word, words } from "./words.js";

const PORTAL = "https://portal.azure.com/#resource";
const BEFORE_POST = new Set(["Resolving", "SelectingRecoveryPoint", "Validating", "AwaitingApproval"]);

export function restoreView({ main, refresh, id }) {
  async function read() {
    const restore = await get(`restores/${id}`);
    const name = nameOf(restore.sourceResourceId) ?? "Restore";
    announce(id, name, restore.status);
    show(
      main,
      h("h1", {}, name, " ", badge(restore.status)),
      actions(restore, name, refresh),
      waitingBox(restore),
      problem(restore.error),
      warnings(restore.warnings),
      overview(restore),
      timeline(restore),
      pointPart(restore),
      targetPart(restore),
      azurePart(restore),
      swapPart(restore),
      newMachinePart(restore),
      attachmentPart(restore),
      resultPart(restore.result),
      planPart(restore.result?.plan),
      json(restore),
    );
    return hasEnded(restore.status) ? 30 : 3;
  }

  return { title: "Restore", refresh: read };
}

/** Returns sentences that say what a restore does to its VM or beside it. */
export function consequencesOf(request, vmName) {
  const target = request?.target ?? {};
  if (request?.thenSwapDisks)
    return [
      `Disks are made from the backup of ${vmName}, which goes on running.${waitsText(request.approval)}`,
      ...swapConsequences(request, vmName),
    ];
  if (request?.thenAttachDisks) return attachmentConsequences(request, vmName);
  if (target.replacesDisks)
    return [
      `The disks of ${vmName} are replaced. The VM is stopped meanwhile, and what was written after the recovery point is no longer on its disks.`,
    ];
  if (target.virtualMachineId)
    return [
      `A new VM, ${nameOf(target.virtualMachineId)}, is made from the backup of ${vmName}. ${vmName} itself is not changed.`,
      ...newMachineConsequences(request),
    ];
  const group = nameOf(target.resourceGroupId);
  return [
    `Disks are made from the backup of ${vmName}${group ? ` in the resource group ${group}` : ""}. ${vmName} itself is not changed.`,
  ];
}

function waitsText(approval) {
  return approval?.required && approval.before === "Swap"
    ? " A person must approve their swap when they are there."
    : "";
}

const COMMANDS = {
  approve: {
    text: "Approve",
    right: "approve",
    button: (restore) => (awaitsSwap(restore) ? "Approve the swap" : "Approve and restore"),
    consequences: (restore, name) =>
      awaitsSwap(restore) ? swapConsequences(restore.request, name) : consequencesOf(restore.request, name),
    isDangerous: (restore) => restore.request?.target?.replacesDisks,
    body: whichDecision,
  },
  reject: {
    text: "Reject",
    right: "approve",
    button: () => "Reject",
    consequences: (restore, name) =>
      awaitsSwap(restore)
        ? cancelSwapConsequences(restore, name)
        : ["Nothing is restored. This restore ends as rejected."],
    body: whichDecision,
  },
  cancel: {
    text: "Cancel",
    right: "operate",
    button: () => "Cancel the restore",
    consequences: cancelConsequences,
    isDangerous: () => true,
  },
  undo: {
    text: "Undo",
    right: "operate",
    button: () => "Put the former disks back",
    consequences: undoConsequences,
    isDangerous: () => true,
    done: (started) => {
      location.hash = `/restores/${started.id}`;
    },
  },
};

/** Returns which of two decisions a person sees before them: a restore may ask before its trigger and its swap. */
function whichDecision(restore) {
  return { before: restore.approval?.before ?? "Trigger" };
}

function actions(restore, name, refresh) {
  const buttons = Object.entries(COMMANDS).map(
    ([command, { text, right, button, consequences, isDangerous, body, done }]) =>
      commandButton({
        command,
        text,
        right,
        links: restore.links,
        done: done ?? refresh,
        question: {
          title: `${text} the restore of ${name}`,
          consequences: consequences(restore, name),
          button: button(restore),
          path: `restores/${restore.id}/${command}`,
          body: body?.(restore),
          isDangerous: isDangerous?.(restore),
        },
      }),
  );
  return h("div", { class: "actions" }, buttons);
}

function cancelConsequences(restore, name) {
  if (usesDisks(restore))
    return [
      "If nothing is made of the disks yet, nothing will be. Otherwise the restore goes on to its end, and says so.",
    ];
  if (restore.phase === "SwappingDisks" || awaitsSwap(restore)) return cancelSwapConsequences(restore, name);
  if (BEFORE_POST.has(restore.phase))
    return ["Azure Backup has not been asked to restore anything yet; it will not be."];
  const asked =
    "Azure Backup is asked to cancel its job. If it can no longer be cancelled, the restore goes on to its end, and says so.";
  return restore.request?.target?.replacesDisks
    ? [asked, `Look at ${name} afterwards: some of its disks may be replaced already.`]
    : [asked, "Disks that were made by then stay."];
}

function waitingBox(restore) {
  if (!restore.waiting) return null;
  const advice = words.warningAdvice[restore.waiting.reason];
  return h(
    "section",
    { class: "box warn", "data-key": "waiting" },
    h("p", {}, waiting(restore), "."),
    approvalText(restore.approval),
    advice && h("p", { class: "advice" }, "What to do: ", sentence(advice)),
  );
}

function overview(restore) {
  return facts([
    ["Phase", hasEnded(restore.status) ? null : word("phase", restore.phase)],
    ["Progress", progress(restore)],
    ["Elapsed", between(restore.createdTime, restore.completedTime)],
    ["Expected end", expected(restore)],
    ["Ended", time(restore.completedTime)],
    ["Next look at Azure", !restore.waiting && time(restore.nextPollTime)],
    ["Started by", startedBy(restore)],
    ["Reason", restore.reason],
    ["Approval of the restore", approvalText(restore.firstApproval)],
    [
      restore.approval?.before === "Swap" ? "Approval of the swap" : "Approval",
      restore.approval?.decision && approvalText(restore.approval),
    ],
    ["Cancelled", givenBy(restore.cancellation)],
    [
      "Recovery",
      restore.recoveryId && h("a", { href: `#/recoveries/${restore.recoveryId}` }, "is a member of this recovery"),
    ],
    ["Undo of", restore.undoOf && h("a", { href: `#/restores/${restore.undoOf}` }, "this restore")],
    ["Request id", restore.requestId],
  ]);
}

function timeline(restore) {
  if (!restore.phases?.length) return null;
  const items = restore.phases.map((phase) =>
    h(
      "li",
      { class: phase.ended ? null : "current" },
      h("span", {}, time(phase.started)),
      h(
        "span",
        {},
        word("phase", phase.phase),
        (phase.waits ?? []).map((wait) =>
          h("small", {}, `${isoDuration(wait.duration)}: ${word("waiting", wait.reason)}`),
        ),
      ),
      h("span", {}, between(phase.started, phase.ended)),
    ),
  );
  return h("section", {}, h("h2", {}, "Timeline"), h("ol", { class: "timeline" }, items));
}

function pointPart(restore) {
  const point = restore.recoveryPoint;
  if (!point) return null;
  return h(
    "section",
    {},
    h("h2", {}, "Recovery point"),
    facts([
      ["Time", time(point.time)],
      ["Age when asked for", between(point.time, restore.createdTime)],
      ["Chosen because", chosenBecause(restore.request?.recoveryPoint)],
      ["Consistency", point.consistency],
      ["Tiers", point.tiers?.join(", ")],
      ["Id", h("code", {}, point.id)],
    ]),
  );
}

/** Returns why a recovery point was chosen: by the request's criteria. */
function chosenBecause(criteria) {
  if (criteria?.id) return "the request names it";
  const limits = [
    criteria?.atOrBefore && `not after ${new Date(criteria.atOrBefore).toLocaleString()}`,
    criteria?.notOlderThan && `not older than ${isoDuration(criteria.notOlderThan)}`,
    criteria?.consistency && `consistency ${criteria.consistency.join(" or ")}`,
    criteria?.tiers && `tier ${criteria.tiers.join(" or ")}`,
  ].filter(Boolean);
  return ["the newest point that can be restored", ...limits].join(", ");
}

function targetPart(restore) {
  const target = restore.request?.target;
  if (!target) return null;
  return h(
    "section",
    {},
    h("h2", {}, "Target"),
    facts([
      ["Kind", kindOf(restore)],
      ["VM", resource(target.virtualMachineId)],
      ["Resource group", resource(target.resourceGroupId)],
      ["Staging account", resource(target.storageAccountId)],
      ["Virtual network", resource(target.virtualNetworkId)],
      ["Subnet", resource(target.subnetId)],
      ["Source", h("span", {}, resource(restore.sourceResourceId), " in ", groupOf(restore.sourceResourceId))],
    ]),
  );
}

function azurePart(restore) {
  if (!restore.vaultId) return null;
  const link = (text) =>
    h(
      "a",
      { href: `${PORTAL}${encodeURI(restore.vaultId.toWellFormed())}`, target: "_blank", rel: "noreferrer" },
      text,
    );
  return h(
    "section",
    {},
    h("h2", {}, "At Azure Backup"),
    facts([
      ["Vault", resource(restore.vaultId)],
      ["Job", restore.jobId && h("code", {}, restore.jobId)],
      ["Operation", restore.operationId && h("code", {}, restore.operationId)],
      ["In the portal", link("the vault: look there for the job under Backup jobs")],
    ]),
  );
}

function resultPart(result) {
  if (!result?.jobStatus) return null;
  const disks = result.disks ?? [];
  return h(
    "section",
    {},
    h("h2", {}, "Result"),
    facts([
      ["Job", result.jobStatus],
      ["Began", time(result.startTime)],
      ["Took", between(result.startTime, result.endTime)],
      ["VM", result.targetVirtualMachineName],
      ["Resource group", result.targetResourceGroup],
      ["Template", result.templateBlobUri && h("code", {}, result.templateBlobUri)],
      ["Configuration", result.configBlobUri && h("code", {}, result.configBlobUri)],
    ]),
    disks.length > 0 &&
      table(
        "Disks",
        ["Name", "LUN", "Size"],
        disks.map((disk) => [
          resource(disk.id) ?? disk.name,
          disk.isOs ? "OS" : (disk.lun ?? "–"),
          disk.sizeGb ? `${disk.sizeGb} GiB` : "–",
        ]),
      ),
  );
}

/** Returns what a dry run found: the body that would be sent, and the verdict on each recovery point. */
export function planPart(plan) {
  if (!plan) return null;
  const candidates = plan.candidates ?? [];
  return h(
    "section",
    {},
    h("h2", {}, "Plan"),
    h("p", {}, "Nothing was started. This is what would be sent to Azure Backup:"),
    h("pre", { tabindex: 0 }, JSON.stringify(plan.requestBody, null, 2)),
    followUpPart(plan.followUp),
    candidates.length > 0 &&
      table(
        "Recovery points",
        ["Time", "Chosen", "Why not"],
        candidates.map((candidate) => [
          time(candidate.time) ?? candidate.id,
          candidate.chosen ? "yes" : "no",
          (candidate.reasons ?? []).join("; ") || "–",
        ]),
      ),
  );
}
