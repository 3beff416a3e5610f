// Start a restore: find the VM's recovery points, plan, then start what was planned.

import { ApiError, get, post } from "./api.js";
import { confirmCommand } from "./dialog.js";
import { h, show, table } from "./dom.js";
import { Attempt, untilEnded } from "./dry_run.js";
import { BOXES, DECIDING, followUpFields, followUpMembers, followUpOf } from "./follow_up.js";
import { nameOf, time } from "./format.js";
import { badge, problem, say, warnings } from "./parts.js";
import { consequencesOf, planPart } from "./restore.js";
import { may, requestedBy } from "./session.js";
import { word, words } from "./words.js";

const FIELDS = {
  RestoreDisks: ["storageAccountId", "targetResourceGroupId"],
  AlternateLocation: [
    "storageAccountId",
    "targetResourceGroupId",
    "targetVirtualMachineId",
    "virtualNetworkId",
    "subnetId",
  ],
  OriginalLocation: ["storageAccountId"],
};
const LABELS = {
  storageAccountId: "Staging account (resource id)",
  targetResourceGroupId: "Target resource group (resource id)",
  targetVirtualMachineId: "New VM (resource id)",
  virtualNetworkId: "Virtual network (resource id)",
  subnetId: "Subnet (resource id)",
};

export function startView({ main, query }) {
  const form = { sourceResourceId: query.get("vm") ?? "", recoveryType: "RestoreDisks", point: "" };
  let points = null;
  let planned = null; // { request, restore }
  const attempt = new Attempt(render);
  let edits = 0;

  function render() {
    show(
      main,
      h("h1", {}, "Start a restore"),
      lookUpPart(),
      points && requestPart(),
      problem(attempt.failure),
      plannedPart(),
    );
  }

  function lookUpPart() {
    function lookUp(event) {
      event.preventDefault();
      form.sourceResourceId = new FormData(event.target).get("sourceResourceId").trim();
      form.point = "";
      planned = null;
      points = null;
      attempt.make(async () => {
        points = await get(`recovery-points?sourceResourceId=${encodeURIComponent(form.sourceResourceId)}`);
        say(`${points.value.length} recovery points`);
      });
    }
    return h(
      "form",
      { class: "filters", onsubmit: lookUp },
      h(
        "label",
        { class: "wide" },
        "VM (resource id)",
        h("input", {
          name: "sourceResourceId",
          value: form.sourceResourceId,
          required: true,
          placeholder: "/subscriptions/…/providers/Microsoft.Compute/virtualMachines/…",
        }),
      ),
      h("button", { type: "submit", disabled: attempt.isBusy }, "Look up its recovery points"),
    );
  }

  function requestPart() {
    function plan(event) {
      event.preventDefault();
      read(event.target.closest("form"));
      planned = null;
      const edited = edits;
      attempt.make(async () => {
        const request = requestOf(form);
        const accepted = await post("restores", { ...request, dryRun: true });
        const restore = await untilEnded(`restores/${accepted.id}`);
        if (edited !== edits) return;
        planned = { request, restore };
        say(`Dry run: ${word("status", restore.status)}`);
      });
    }
    function read(filled) {
      const off = Object.fromEntries(BOXES.map((name) => [name, ""]));
      Object.assign(form, off, Object.fromEntries(new FormData(filled)));
    }
    function edit(event) {
      edits += 1;
      read(event.currentTarget);
      const needsOtherFields = ["recoveryType", ...DECIDING].includes(event.target.name);
      if (!planned && !needsOtherFields) return;
      planned = null; // what could be started is no longer what the form says
      render();
    }
    const fields = FIELDS[form.recoveryType].map((name) => {
      const isOptional = name === "targetResourceGroupId" && followUpOf(form) === "thenSwapDisks";
      const placeholder = isOptional ? "that of the VM" : null;
      const input = h("input", { name, required: !isOptional, placeholder, value: form[name] ?? "" });
      return h("label", { "data-key": name }, LABELS[name], input);
    });
    const kinds = Object.keys(FIELDS).map((kind) =>
      h("option", { value: kind, selected: kind === form.recoveryType }, words.kind[kind]),
    );
    return h(
      "form",
      { onsubmit: plan, oninput: edit },
      warnings(points.warnings),
      pointsPart(),
      h("label", {}, "Kind", h("select", { name: "recoveryType" }, kinds)),
      fields,
      form.recoveryType === "RestoreDisks" && followUpFields(form),
      h(
        "label",
        {},
        "Reason",
        h("input", { name: "reason", required: true, maxlength: 500, value: form.reason ?? "" }),
      ),
      h(
        "label",
        {},
        "More members of the request, as JSON",
        h("textarea", { name: "more", rows: 3, placeholder: '{"zones": ["1"]}' }),
      ),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "submit", disabled: attempt.isBusy }, attempt.isBusy ? "Planning…" : "Plan (dry run)"),
      ),
    );
  }

  function pointsPart() {
    const radio = (value, isDisabled, label) =>
      h("input", {
        type: "radio",
        name: "point",
        value,
        checked: form.point === value,
        disabled: isDisabled,
        "aria-label": label,
      });
    const rows = points.value.map((point) => [
      radio(point.id, !point.restorable, `Point of ${point.time}`),
      time(point.time),
      point.consistency,
      (point.tiers ?? []).join(", ") || "–",
      point.restorable ? "can be restored" : point.reasons.join("; "),
    ]);
    rows.unshift([
      radio("", false, "The newest that can be restored"),
      "the newest that can be restored",
      "–",
      "–",
      "–",
    ]);
    return h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Recovery points" },
      table(
        `${points.value.length} recovery points of ${nameOf(form.sourceResourceId)}`,
        ["Choose", "Time", "Consistency", "Tiers", "Verdict"],
        rows,
        ["", ...points.value.map((point) => point.id)],
      ),
    );
  }

  function plannedPart() {
    if (!planned) return null;
    const { request, restore } = planned;
    const name = nameOf(request.sourceResourceId);
    async function start() {
      // Each plan starts one restore, however often an answer gets lost.
      const sent = { ...request, requestId: request.requestId.replace(/^plan-/, "page-") };
      const given = await confirmCommand({
        title: `Restore ${name}`,
        consequences: consequencesOf(restore.request, name),
        button: "Start the restore",
        path: "restores",
        body: sent,
        isDangerous: restore.request?.target?.replacesDisks,
        isStart: true,
      });
      if (given) location.hash = `/restores/${given.id}`;
    }
    return h(
      "section",
      { class: "box" },
      h("h2", {}, `Dry run for ${name} `, badge(restore.status)),
      problem(restore.error),
      warnings(restore.warnings),
      restore.status === "Planned" &&
        may("operate") &&
        h(
          "div",
          { class: "actions" },
          h(
            "button",
            { type: "button", onclick: start, class: restore.request?.target?.replacesDisks ? "danger" : null },
            "Start this restore",
          ),
        ),
      planPart(restore.result?.plan),
    );
  }

  return {
    title: "Start",
    async refresh() {
      render();
      return null;
    },
  };
}

/** Returns the request that the form describes. Raises ApiError if the members given as JSON are no object. */
function requestOf(form) {
  let more = {};
  if (form.more?.trim()) {
    try {
      more = JSON.parse(form.more);
    } catch (error) {
      throw new ApiError(0, "InvalidRequest", `The members given as JSON cannot be read: ${error.message}`);
    }
  }
  const fields = FIELDS[form.recoveryType].map((name) => [name, form[name].trim()]).filter(([, value]) => value);
  const request = {
    sourceResourceId: form.sourceResourceId,
    recoveryType: form.recoveryType,
    ...Object.fromEntries(fields),
    ...followUpMembers(form),
    ...requestedBy(),
    reason: form.reason.trim(),
    ...more,
    requestId: `plan-${crypto.randomUUID()}`,
  };
  if (form.point) request.recoveryPoint = { id: form.point };
  return request;
}
