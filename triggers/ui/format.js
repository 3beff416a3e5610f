// Times, durations and resource ids as people read them.

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const DAY_OF_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hour12: false });
const DURATION = /^P(?:([\d.]+)W)?(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?$/;

import { h } from "./dom.js";

/** Returns a time of the API as an element in the person's time zone; its title has the zone and UTC. */
export function time(text) {
  if (!text) return null;
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return String(text);
  const now = new Date();
  const day = (moment.getFullYear() === now.getFullYear() ? DAY : DAY_OF_YEAR).format(moment);
  const shown = moment.toDateString() === now.toDateString() ? CLOCK.format(moment) : `${day} ${CLOCK.format(moment)}`;
  return h("time", { datetime: text, title: `${WHOLE.format(moment)} = ${moment.toISOString()}` }, shown);
}

/** Returns the time of day now, with the person's time zone. */
export function clock() {
  return `${CLOCK.format(new Date())}, ${new Intl.DateTimeFormat().resolvedOptions().timeZone}`;
}

/** Returns milliseconds in words of at most two units, such as "1 h 5 min". */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const units = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  let rest = seconds;
  const parts = units.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count ? `${count} ${unit}` : "";
  });
  return parts.filter(Boolean).join(" ");
}

/** Returns the milliseconds of an ISO 8601 duration without years and months, NaN for any other text. */
export function durationOf(text) {
  const found = DURATION.exec(text ?? "");
  if (!found) return NaN;
  const [weeks, days, hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0));
  return ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}

/** Returns an ISO 8601 duration in words; null if there is none. */
export function isoDuration(text) {
  if (!text) return null;
  const milliseconds = durationOf(text);
  return Number.isNaN(milliseconds) ? text : duration(milliseconds);
}

/** Returns the time between two times of the API in words; without an end, until now. */
export function between(start, end) {
  return start ? duration((end ? new Date(end) : Date.now()) - new Date(start)) : null;
}

/** Returns the last part of a resource id. */
export function nameOf(id) {
  return id?.split("/").filter(Boolean).pop() ?? null;
}

/** Returns the resource group in a resource id. */
export function groupOf(id) {
  return /\/resourceGroups\/([^/]+)/i.exec(id ?? "")?.[1] ?? null;
}

/** Returns a resource id as its name, with the whole id as title. */
export function resource(id) {
  return id ? h("span", { class: "id", title: id }, nameOf(id)) : null;
}

/** Returns when a restore may end by Azure's own percentage, in milliseconds since 1970; null if unknown. */
export function expectedEnd(restore) {
  const percent = restore.progressPercentage;
  const tracking = restore.phases?.find((phase) => phase.phase === "TrackingJob");
  if (restore.completedTime || restore.phase !== "TrackingJob" || !tracking || !(percent >= 5 && percent < 96))
    return null;
  const began = new Date(tracking.started).getTime();
  const updated = new Date(restore.lastUpdatedTime).getTime();
  return new Date(began + ((updated - began) / percent) * 100);
}
