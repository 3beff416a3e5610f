// The question before anything is changed: what will happen, to which machine, and why.

import { ApiError, post } from "./api.js";
import { h } from "./dom.js";
import { by, requestedBy } from "./session.js";

/**
 * Asks before a command. `title` names what is done and to what, `consequences` are sentences that say what will happen,
 * `path` is where the command is posted, `body` has its members beside who and why. A start has the person and the
 * comment as `requestedBy` and `reason`. Returns the API's answer, or null if the person went back.
 */
export function confirmCommand({ title, consequences, button, path, body = {}, isStart = false, isDangerous = false }) {
  return new Promise((resolve) => {
    const opener = document.activeElement;
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const comment = h("textarea", { name: "comment", required: true, maxlength: 500, rows: 3 }, body.reason ?? "");
    const send = h("button", { type: "submit", class: isDangerous ? "danger" : null }, button);
    let answer = null;
    async function submit(event) {
      event.preventDefault();
      if (!comment.value.trim()) {
        comment.setCustomValidity("Say why, for those who read it later.");
        comment.reportValidity();
        return;
      }
      send.disabled = true;
      try {
        const why = comment.value.trim();
        answer = await post(path, {
          ...body,
          ...(isStart ? { ...requestedBy(), reason: why } : { ...by(), comment: why }),
        });
        dialog.close();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        problem.textContent = [error.message, ...error.details.map((detail) => detail.message)].join(" ");
        problem.hidden = false;
        send.disabled = false;
      }
    }
    const dialog = h(
      "dialog",
      { "aria-labelledby": "dialog-title" },
      h(
        "form",
        { onsubmit: submit },
        h("h2", { id: "dialog-title" }, title),
        consequences.map((text) => h("p", {}, text)),
        h("label", {}, isStart ? "Reason (required)" : "Comment (required)", comment),
        problem,
        h(
          "div",
          { class: "actions" },
          send,
          h("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Go back"),
        ),
      ),
    );
    comment.addEventListener("input", () => comment.setCustomValidity(""));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    comment.focus();
  });
}
