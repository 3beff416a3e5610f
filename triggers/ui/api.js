// Calls of the JSON API. The function key is kept in this module's memory only, and sent as a header.

const KNOWN_ANSWERS = 200;
const PATIENCE_MS = 60_000;

let functionKey = null;
const answers = new Map(); // by address: the last answer with an ETag

/** An answer that is an error: `code` and `details` as in ARM's shape. `status` is 0 if no answer came. */
export class ApiError extends Error {
  constructor(status, code, message, details = [], retryAfterS = null) {
    super(message);
    Object.assign(this, { status, code, details, retryAfterS });
  }
}

/** Keeps the function key until the page is closed or loaded again; null forgets it and all that was read with it. */
export function useKey(key) {
  functionKey = key;
  answers.clear();
}

/** Returns the parsed answer to a GET of `path`, which is relative to the API, such as `restores?top=50`. */
export async function get(path) {
  const known = answers.get(path);
  const response = await send(path, { headers: known ? { "If-None-Match": known.etag } : {} });
  if (response.status === 304) return known.body;
  const body = await read(response);
  const etag = response.headers.get("ETag");
  answers.delete(path);
  if (etag) answers.set(path, { etag, body });
  if (answers.size > KNOWN_ANSWERS) answers.delete(answers.keys().next().value);
  return body;
}

/** Returns the parsed answer to a POST of JSON. */
export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  try {
    return await read(await send(path, { method: "POST", headers, body: JSON.stringify(body) }));
  } catch (error) {
    if (error.status !== 0) throw error;
    throw new ApiError(0, error.code, "No answer came: the app may have taken this. Send it again; it counts once.");
  }
}

async function send(path, options) {
  const headers = { ...options.headers };
  if (functionKey) headers["x-functions-key"] = functionKey;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  let response;
  try {
    response = await fetch(path, { ...options, headers, signal, cache: "no-store", redirect: "manual" });
  } catch {
    throw noAnswer();
  }
  // App Service authentication sends whoever has no session any more to its sign-in page; the API redirects nobody.
  if (response.type === "opaqueredirect") throw new ApiError(401, "SignInNeeded", "Your session has ended.");
  return response;
}

function noAnswer() {
  return new ApiError(0, "NoAnswer", "The app did not answer.");
}

async function read(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // The host's own answers, such as 401 and 404, have no JSON.
  }
  if (response.ok && body !== null) return body;
  if (response.ok) throw noAnswer(); // it was cut on its way
  const error = body?.error;
  const message = error?.message ?? `The app answered ${response.status} ${response.statusText}`.trim();
  const retryAfterS = Number(response.headers.get("Retry-After")) || null;
  throw new ApiError(
    response.status,
    error?.code ?? String(response.status),
    message,
    error?.details ?? [],
    retryAfterS,
  );
}
