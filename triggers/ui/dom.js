// Elements from data. Text is always added as text, never as markup: names and messages may be hostile.

const HANDLERS = ["onclick", "onsubmit", "onchange", "oninput"];
const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "rect", "text", "title"]);

/**
 * Returns an element. An attribute that is null, undefined or false is left out; one that is true has no value; those
 * of HANDLERS are functions. Children are elements, texts, or lists of them; null and false are left out.
 */
export function h(tag, attributes, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (HANDLERS.includes(name)) element[name] = value;
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...given(children));
  return element;
}

/** Returns all that is in a list and the lists in it, without null, undefined and false. */
function given(list) {
  return list.flat(Infinity).filter((entry) => entry !== null && entry !== undefined && entry !== false);
}

/**
 * Makes the children of `container` equal to `children`, changing as little as possible: what has the focus, what was
 * typed and what was opened stays. An element with `data-key` is the same as before only if its key is.
 */
export function show(container, ...children) {
  const wanted = document.createElement("div");
  wanted.append(...given(children));
  patchChildren(container, wanted);
}

function patchChildren(known, wanted) {
  const keys = new Set([...known.childNodes].map((child) => child.dataset?.key));
  let present = known.firstChild; // what was there and is not placed yet
  for (const child of [...wanted.childNodes]) {
    let found = keys.has(child.dataset?.key) ? present : null;
    while (found && !isSame(found, child)) found = found.nextSibling;
    if (!found) {
      known.insertBefore(child, present);
      continue;
    }
    while (present !== found) present = removed(present);
    patch(found, child);
    present = found.nextSibling;
  }
  while (present) present = removed(present);
}

/** Removes a node; returns the one after it. */
function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function isSame(known, wanted) {
  return known.nodeName === wanted.nodeName && known.dataset?.key === wanted.dataset?.key;
}

function patch(known, wanted) {
  if (known.nodeType === Node.TEXT_NODE) {
    if (known.data !== wanted.data) known.data = wanted.data;
    return;
  }
  const keepsOpen = known.tagName === "DETAILS";
  for (const { name } of [...known.attributes])
    if (!wanted.hasAttribute(name) && !(keepsOpen && name === "open")) known.removeAttribute(name);
  for (const { name, value } of wanted.attributes)
    if (known.getAttribute(name) !== value) known.setAttribute(name, value);
  for (const name of HANDLERS) known[name] = wanted[name];
  if (known.tagName !== "TEXTAREA") patchChildren(known, wanted);
}

/** Returns a list of terms with their values; a term whose value is null is left out. */
export function facts(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  return h(
    "dl",
    {},
    shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
  );
}

/**
 * Returns a table that becomes a list of cards on a narrow screen. A row is a list of cells, each a node or text. The
 * roles keep it a table for screen readers, because cards are laid out as blocks.
 */
export function table(caption, heads, rows, keys = []) {
  const body = rows.map((row, index) =>
    h(
      "tr",
      { role: "row", "data-key": keys[index] },
      row.map((cell, column) => h("td", { role: "cell", "data-head": heads[column] }, cell)),
    ),
  );
  return h(
    "table",
    { role: "table" },
    h("caption", {}, caption),
    h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { role: "row" },
        heads.map((head) => h("th", { role: "columnheader", scope: "col" }, head)),
      ),
    ),
    h("tbody", { role: "rowgroup" }, body),
  );
}

/** Returns a choice among `entries`, pairs of value and text; the entry with the value `chosen` is chosen at first. */
export function select(name, entries, chosen, onchange) {
  const options = entries.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  return h("select", { name, onchange }, options);
}

/** Returns the JSON behind a view, closed at first. */
export function json(value) {
  return h("details", {}, h("summary", {}, "JSON"), h("pre", { tabindex: 0 }, JSON.stringify(value, null, 2)));
}
