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
    const back = h("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Go back");
    let answer = null;
    let sending = null;
    function submit(event) {
      event.preventDefault();
      if (!comment.value.trim()) {
        comment.setCustomValidity("Say why, for those who read it later.");
        comment.reportValidity();
        return;
      }
      if (!sending) sending = give();
    }
    async function give() {
      send.disabled = true;
      back.disabled = true;
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
      } finally {
        sending = null;
        send.disabled = false;
        back.disabled = false;
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
        h("div", { class: "actions" }, send, back),
      ),
    );
    comment.addEventListener("input", () => comment.setCustomValidity(""));
    const leave = () => dialog.close();
    addEventListener("hashchange", leave); // it asks about what the person has left
    dialog.addEventListener("cancel", (event) => sending && event.preventDefault());
    dialog.addEventListener("close", async () => {
      removeEventListener("hashchange", leave);
      dialog.remove();
      (opener?.isConnected ? opener : document.getElementById("main")).focus();
      await sending; // a browser may close a dialog that has sent its command; the command is under way all the same
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    comment.focus();
  });
}
