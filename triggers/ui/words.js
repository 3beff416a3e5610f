// The words that people see for the codes of the API. Their advice is that of the runbook; a test compares them.

export const words = await (await fetch(new URL("words.json", import.meta.url))).json();

// Codes come from others: "constructor" is none of ours, so it must not be found in what all objects inherit.
for (const codes of Object.values(words)) Object.setPrototypeOf(codes, null);

/** Returns the words for a code, and an unknown code itself, as in "NewPhase". */
export function word(kind, code) {
  return code ? (words[kind][code] ?? code) : null;
}

/** Returns a text with a capital letter and a full stop. */
export function sentence(text) {
  if (!text) return null;
  const begun = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
