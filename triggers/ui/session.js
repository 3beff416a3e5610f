// Who uses the page: a person whom App Service authentication knows, or one with the function key.

import { ApiError, get, useKey } from "./api.js";
import { h, show } from "./dom.js";

export const session = { authentication: "functionKey", name: null, may: [], version: null, signedIn: false };

/** Reads who the person is. Raises ApiError if the app does not answer. */
export async function readSession() {
  Object.assign(session, await get("ui/session"));
  session.signedIn = session.authentication !== "functionKey" && session.name !== null;
}

/** Returns whether the person may do this: "read", "operate" or "approve". */
export function may(right) {
  return session.may.includes(right);
}

/** Returns the members of a command that say who gives it; App Service authentication says it by itself. */
export function by() {
  return session.authentication === "functionKey" && session.name ? { by: session.name } : {};
}

/** Returns the member of a start that says who asks for it. */
export function requestedBy() {
  const { by: name } = by();
  return name ? { requestedBy: name } : {};
}

/** Forgets the key and what was read with it. */
export function signOut() {
  useKey(null);
  session.signedIn = false;
  session.name = null;
}

/** Shows the form for the key and the person's name in `main`; `done` is called once the app has taken the key. */
export function showSignIn(main, done, problem = null) {
  if (session.authentication !== "functionKey") {
    const signIn = `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(location.pathname)}`;
    show(
      main,
      h("h1", {}, "Sign in"),
      h("p", {}, problem ?? "Your session has ended."),
      h("p", {}, h("a", { class: "button", href: signIn }, "Sign in with Microsoft Entra")),
    );
    return;
  }
  async function signIn(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    useKey(form.get("key").trim() || null);
    try {
      await get("restores?top=1");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      useKey(null);
      const refused = error.status === 401 || error.status === 403;
      showSignIn(
        main,
        done,
        refused ? "The app refused this key. Take a function key or host key of the app." : error.message,
      );
      return;
    }
    session.signedIn = true;
    session.name = form.get("name").trim();
    done();
  }
  show(
    main,
    h(
      "form",
      { class: "narrow", onsubmit: signIn, autocomplete: "off" },
      h("h1", {}, "Sign in"),
      problem && h("p", { class: "problem", role: "alert" }, problem),
      h(
        "label",
        {},
        "Function key",
        h("input", {
          name: "key",
          type: "password",
          autocomplete: "off",
          pattern: "[!-~]*", // a header can carry nothing else
          title: "A key has no blanks, and only Latin letters, digits and signs",
        }),
      ),
      h(
        "p",
        { class: "hint" },
        "It is kept in this page's memory until you close or reload it. Leave it empty on a host without keys.",
      ),
      h(
        "label",
        {},
        "Your name",
        h("input", {
          name: "name",
          required: true,
          maxlength: 100,
          autocomplete: "name",
          pattern: ".*\\S.*",
          title: "Your name",
        }),
      ),
      h("p", { class: "hint" }, "It is written into what you approve, cancel and start."),
      h("button", { type: "submit" }, "Continue"),
    ),
  );
  main.querySelector("input")?.focus();
}
