// What the start form asks about the restored disks: what is to become of them, and how.

import { h } from "./dom.js";

const ADDRESS = "\\s*\\d{1,3}(\\.\\d{1,3}){3}\\s*";
const NUMBERS = "\\s*-?\\d+(\\s*,\\s*-?\\d+)*\\s*";

/**
 * The fields and boxes of each follow-up, by its member of the request. A field is needed unless it says what is taken
 * `without` it; one that `isOwn` is not asked for where Azure Backup's template is used.
 */
const FOLLOW_UPS = {
  "": { text: "Leave the disks beside the VM" },
  thenSwapDisks: {
    text: "Then swap the disks into the VM",
    boxes: {
      dataDisksOnly: "Only its data disks",
      leaveStopped: "Do not start it afterwards",
      approveSwap: "A person approves the swap, when the disks are restored",
    },
  },
  thenCreateVirtualMachine: {
    text: "Then make a new VM of the disks",
    fields: {
      newName: { label: "Name of the new VM" },
      subnetId: { label: "Subnet (resource id)" },
      size: { label: "Size", without: "that of the backed-up VM", isOwn: true },
      privateIpAddress: { label: "Private IP address", without: "any free one", pattern: ADDRESS, isOwn: true },
    },
    boxes: {
      template: "By the template that Azure Backup writes, with a public IP address",
      leaveStopped: "Do not leave it running",
    },
  },
  thenAttachDisks: {
    text: "Then attach the disks to another VM",
    fields: {
      attachTo: { label: "The other VM (resource id)" },
      luns: {
        label: "LUNs in the backed-up VM, such as 2, 3 (-1: its OS disk)",
        without: "all data disks",
        pattern: NUMBERS,
      },
    },
    boxes: { deleteOthers: "Delete the restored disks that are not attached" },
  },
};

/** The names of all boxes: one that is not ticked is not in the data of a form. */
export const BOXES = Object.values(FOLLOW_UPS).flatMap(({ boxes }) => Object.keys(boxes ?? {}));

/** The names of the inputs that decide which other ones there are. */
export const DECIDING = ["then", "template"];

/** Returns the member of the request that says what is done with the disks; an empty text if nothing is. */
export function followUpOf(form) {
  return form.recoveryType === "RestoreDisks" ? (form.then ?? "") : "";
}

/** Returns the part of the form that asks for it. */
export function followUpFields(form) {
  const chosen = followUpOf(form);
  const { fields = {}, boxes = {} } = FOLLOW_UPS[chosen];
  const kinds = Object.entries(FOLLOW_UPS).map(([name, { text }]) =>
    choice({ type: "radio", name: "then", value: name, checked: name === chosen }, `then ${name}`, text),
  );
  const shown = Object.entries(fields).filter(([, { isOwn }]) => !(isOwn && form.template));
  return h(
    "fieldset",
    { "data-key": "follow-up" },
    h("legend", {}, "After the restore"),
    kinds,
    shown.map(([name, { label, without, pattern }]) =>
      h(
        "label",
        { "data-key": name },
        label,
        h("input", { name, value: form[name] ?? "", required: !without, placeholder: without, pattern }),
      ),
    ),
    Object.entries(boxes).map(([name, text]) =>
      choice({ type: "checkbox", name, value: "yes", checked: Boolean(form[name]) }, name, text),
    ),
  );
}

function choice(attributes, key, text) {
  return h("label", { class: "choice", "data-key": key }, h("input", attributes), text);
}

/** Returns the members of the request that say what is done with the disks. What nobody filled in is left out. */
export function followUpMembers(form) {
  const text = (name) => form[name]?.trim();
  const start = form.leaveStopped ? false : undefined; // JSON leaves out what is undefined
  switch (followUpOf(form)) {
    case "thenSwapDisks":
      return {
        thenSwapDisks: { dataDisksOnly: Boolean(form.dataDisksOnly) || undefined, start },
        approval: form.approveSwap ? { required: true, before: "Swap" } : undefined,
      };
    case "thenCreateVirtualMachine": {
      const own = { size: text("size") || undefined, privateIpAddress: text("privateIpAddress") || undefined };
      const way = form.template ? { template: true } : own;
      return { thenCreateVirtualMachine: { name: text("newName"), subnetId: text("subnetId"), ...way, start } };
    }
    case "thenAttachDisks":
      return {
        thenAttachDisks: {
          virtualMachineId: text("attachTo"),
          luns: text("luns")?.match(/-?\d+/g)?.map(Number),
          deleteOthers: Boolean(form.deleteOthers) || undefined,
        },
      };
    default:
      return {};
  }
}
