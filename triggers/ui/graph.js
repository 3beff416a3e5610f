// The groups of a recovery as a graph: a group stands to the right of all that it waits for.

import { h } from "./dom.js";
import { total } from "./parts.js";
import { word } from "./words.js";

const WIDTH = 176;
const HEIGHT = 52;
const GAP_X = 46;
const GAP_Y = 16;
const MAX_NAME = 18;

/**
 * Returns the graph of `groups` (as in a recovery's document) as SVG. Groups in `critical` decide when the recovery
 * ends. The table below it says the same in words, so the graph itself is one image for screen readers.
 */
export function graph(groups, critical) {
  const places = layout(groups);
  const columns = Math.max(...[...places.values()].map(([column]) => column)) + 1;
  const rows = Math.max(...[...places.values()].map(([, row]) => row)) + 1;
  const width = columns * (WIDTH + GAP_X) - GAP_X + 4;
  const height = rows * (HEIGHT + GAP_Y) + 4;
  const label = `Graph of ${groups.length} groups${critical.size ? `; on the critical path: ${[...critical].join(", ")}` : ""}`;
  return h(
    "div",
    { class: "graph", tabindex: 0, role: "region", "aria-label": "Graph of the groups" },
    h(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
      groups.flatMap((group) =>
        group.after.map((before) =>
          edge(places.get(before), places.get(group.name), critical.has(before) && critical.has(group.name)),
        ),
      ),
      groups.map((group) => node(group, places.get(group.name), critical.has(group.name))),
    ),
    critical.size > 0 &&
      h(
        "p",
        { class: "hint" },
        "Groups with a thick border are on the critical path: they decide when the recovery ends.",
      ),
  );
}

/** Returns the column and row of each group by its name. */
function layout(groups) {
  const byName = new Map(groups.map((group) => [group.name, group]));
  const columns = new Map();
  function column(name) {
    if (!columns.has(name)) {
      columns.set(name, 0);
      columns.set(name, Math.max(-1, ...byName.get(name).after.map(column)) + 1);
    }
    return columns.get(name);
  }
  const used = new Map();
  return new Map(
    groups.map((group) => {
      const at = column(group.name);
      const row = used.get(at) ?? 0;
      used.set(at, row + 1);
      return [group.name, [at, row]];
    }),
  );
}

function corner([column, row]) {
  return [2 + column * (WIDTH + GAP_X), 2 + row * (HEIGHT + GAP_Y)];
}

function edge(from, to, isCritical) {
  const [fromX, fromY] = corner(from);
  const [toX, toY] = corner(to);
  const [x1, y1, x2, y2] = [fromX + WIDTH, fromY + HEIGHT / 2, toX, toY + HEIGHT / 2];
  // Past the groups of the columns between, it runs below their row.
  const low = y1 + (HEIGHT + GAP_Y) / 2;
  const isNext = to[0] - from[0] === 1;
  const last = toX - GAP_X;
  const pass = isNext ? "" : `${curve(x1, y1, x1 + GAP_X, low)}L${last} ${low}`;
  return h("path", {
    class: isCritical ? "edge critical" : "edge",
    d: `M${x1} ${y1}${pass}${curve(last, isNext ? y1 : low, x2, y2)}`,
  });
}

function curve(x1, y1, x2, y2) {
  const middle = (x1 + x2) / 2;
  return `C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

function node(group, place, isCritical) {
  const [x, y] = corner(place);
  const all = total(group.counts);
  const done = (group.counts.Completed ?? 0) + (group.counts.CompletedWithWarnings ?? 0) + (group.counts.Planned ?? 0);
  // Both ends of a long name are shown: names of one plan often begin alike.
  const name =
    group.name.length > MAX_NAME
      ? `${group.name.slice(0, MAX_NAME / 2)}…${group.name.slice(1 - MAX_NAME / 2)}`
      : group.name;
  return h(
    "g",
    { class: `node ${group.status}${isCritical ? " critical" : ""}` },
    h("title", {}, `${group.name}: ${word("status", group.status)}`),
    h("rect", { x, y, width: WIDTH, height: HEIGHT, rx: 6 }),
    h("rect", { class: "done", x, y: y + HEIGHT - 5, width: all ? (WIDTH * done) / all : 0, height: 5, rx: 2 }),
    h("text", { x: x + 10, y: y + 20 }, name),
    h("text", { class: "small", x: x + 10, y: y + 37 }, `${done} of ${all} · ${word("status", group.status)}`),
  );
}
