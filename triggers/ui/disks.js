// What is made of restored disks besides a swap: a new VM, or disks of another VM.

import { facts, h, table } from "./dom.js";
import { nameOf, resource, time } from "./format.js";
import { word } from "./words.js";

const PHASES = new Set(["CreatingVirtualMachine", "AttachingDisks"]);

/** Returns whether something other than a swap is being made of the restored disks. */
export function usesDisks(restore) {
  return PHASES.has(restore.phase);
}

/** Returns sentences that say what an attachment does. */
export function attachmentConsequences(request, vmName) {
  const target = nameOf(request.target?.virtualMachineId);
  const { deleteOthers } = request.thenAttachDisks;
  return [
    `Disks are made from the backup of ${vmName}, and attached to ${target}, which goes on running. ${vmName} itself is not changed.`,
    ...(deleteOthers ? ["Restored disks that are not attached are deleted."] : []),
  ];
}

/** Returns sentences that say how a new VM is made of restored disks; none for another kind of restore. */
export function newMachineConsequences({ thenCreateVirtualMachine: asked }) {
  return [
    asked?.template && "It gets a public IP address.",
    asked?.start === false && "It is stopped as soon as it runs.",
  ].filter(Boolean);
}

/** Returns what is seen of the new VM of a restore; null if there is none. */
export function newMachinePart(restore) {
  const made = restore.result?.createdVirtualMachine ?? restore.createdVirtualMachine;
  if (!made) return null;
  const ids = made.outputResources ?? [];
  return h(
    "section",
    {},
    h("h2", {}, "New VM"),
    facts([
      ["VM", resource(made.id)],
      ["State", word("creationState", made.state)],
      ["Deployment", made.deployment],
      ["Runs since", time(made.runningTime)],
    ]),
    ids.length > 0 &&
      h(
        "ul",
        {},
        ids.map((id) => h("li", {}, h("code", {}, id))),
      ),
  );
}

/** Returns what is seen of the disks that a restore attaches to another VM; null if there are none. */
export function attachmentPart(restore) {
  const attachment = restore.result?.attachment ?? restore.attachment;
  if (!attachment) return null;
  const rows = [
    ...(attachment.disks ?? []).map((disk) => [resource(disk.diskId), disk.lun === null ? "–" : `at LUN ${disk.lun}`]),
    ...(attachment.others ?? []).map((id) => [resource(id), "not to be attached"]),
    ...(attachment.deleted ?? []).map((id) => [resource(id), "deleted"]),
  ];
  return h(
    "section",
    {},
    h("h2", {}, "Attachment"),
    facts([
      ["VM", resource(attachment.virtualMachineId)],
      ["State", word("attachmentState", attachment.state)],
      ["Attached", time(attachment.attachedTime)],
    ]),
    rows.length > 0 && table("Restored disks", ["Disk", "Where"], rows),
  );
}
