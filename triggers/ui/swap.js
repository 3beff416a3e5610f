// Restored disks that take the places of a VM's disks: what is seen of it, and what a person must know beforehand.

import { facts, h, table } from "./dom.js";
import { between, isoDuration, nameOf, resource, time } from "./format.js";
import { word } from "./words.js";

const MAX_PLACES = 8; // that a dialog names

/** Returns the swap of a restore, as it stands or as it ended; undefined if there is none. */
function swapOf(restore) {
  return restore.result?.swap ?? restore.swap;
}

/** Returns whether the disks of a restore are made, and wait to be swapped into the VM. */
export function awaitsSwap(restore) {
  return Boolean(restore.phase === "AwaitingApproval" && restore.request?.thenSwapDisks && restore.jobId);
}

/** Returns sentences that say what a swap of disks does to the VM. */
export function swapConsequences(request, vmName) {
  const { start = true, dataDisksOnly } = request.thenSwapDisks;
  const end = start ? "and is started: it is down for some minutes" : "and is not started";
  return [
    `${vmName} is deallocated, gets the restored ${dataDisksOnly ? "data disks" : "disks"} in place of its present ones, ${end}.`,
    "What was written to these disks after the recovery point is not on the new ones. The former disks are kept, and an undo puts them back.",
  ];
}

/** Returns sentences that say what the undo of a restore's swap does to the VM. */
export function undoConsequences(restore, vmName) {
  const swap = swapOf(restore);
  if (!swap) return [];
  const took = swap.downtime ? ` Its swap took ${isoDuration(swap.downtime)}.` : "";
  const disks = swap.disks ?? [];
  const places = disks
    .slice(0, MAX_PLACES)
    .map(
      (place) =>
        `${placeOf(place)}: ${nameOf(place.formerDiskId) ?? "no disk"} instead of ${nameOf(place.diskId) ?? "no disk"}.`,
    );
  if (disks.length > MAX_PLACES) places.push(`So do ${disks.length - MAX_PLACES} others.`);
  return [
    `${vmName} is deallocated, gets its former disks, and runs again if it runs now: it is down for some minutes.${took}`,
    ...places,
    "What was written since the swap stays on the disks that are taken out. They are kept, and an undo of the undo puts them back.",
  ];
}

/** Returns sentences that say what a cancellation does to a restore whose disks are made. */
export function cancelSwapConsequences(restore, vmName) {
  return awaitsSwap(restore)
    ? [`The disks are not swapped: ${vmName} is not touched. The restored disks stay.`]
    : [
        `If the disks of ${vmName} are not replaced yet, it keeps its former ones, and is started again if it ran.`,
        "Otherwise the swap goes on to its end, and says so; an undo takes it back.",
      ];
}

function placeOf(place) {
  return place.lun === null || place.lun === undefined ? "OS disk" : `LUN ${place.lun}`;
}

/** Returns what is seen of the swap of a restore; null if there is none. */
export function swapPart(restore) {
  const swap = swapOf(restore);
  if (!swap) return null;
  const isDown = swap.state === "Running" && swap.deallocatedTime && !swap.runningTime;
  const disks = swap.disks ?? [];
  return h(
    "section",
    {},
    h("h2", {}, "Swap of disks"),
    facts([
      ["The VM", word("swapState", swap.state)],
      ["Deallocated", time(swap.deallocatedTime)],
      ["Disks replaced", time(swap.disksReplacedTime)],
      ["Runs again", time(swap.runningTime)],
      ["Its agent answers", time(swap.agentReadyTime)],
      ["Downtime", isDown ? `${between(swap.deallocatedTime)} so far` : isoDuration(swap.downtime)],
    ]),
    disks.length > 0 &&
      table(
        "Disks of the VM",
        ["Place", "Former disk", "New disk"],
        disks.map((place) => [
          placeOf(place),
          resource(place.formerDiskId) ?? "none",
          resource(place.diskId) ?? "none",
        ]),
      ),
  );
}

/** Returns the calls that a restore would make with its disks, of a dry run; null if there are none. */
export function followUpPart(calls) {
  if (!calls?.length) return null;
  const items = calls.map((call) =>
    h(
      "li",
      {},
      h("code", {}, `${call.method} ${call.path}`),
      call.body && h("pre", { tabindex: 0 }, JSON.stringify(call.body, null, 2)),
    ),
  );
  return [h("p", {}, "Then, with the restored disks:"), h("ol", {}, items)];
}
