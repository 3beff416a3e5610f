// The buttons by which a person gives a command to a restore or a recovery.

import { confirmCommand } from "./dialog.js";
import { h } from "./dom.js";
import { may } from "./session.js";

/**
 * Returns the button of `command`, such as "approve"; null if `links` of the document do not offer it now, or if the
 * person lacks the right `right`. `question` is what confirmCommand asks first; `done` is called with the API's answer
 * once the command is given. `label` names the button for screen readers where `text` alone does not.
 */
export function commandButton({ command, text, label = null, right, links, question, done }) {
  if (!links[command] || !may(right)) return null;
  async function ask() {
    const answer = await confirmCommand(question);
    if (answer) done(answer);
  }
  return h(
    "button",
    {
      type: "button",
      class: command === "approve" ? null : "plain",
      "data-key": command,
      "aria-label": label,
      onclick: ask,
    },
    text,
  );
}
