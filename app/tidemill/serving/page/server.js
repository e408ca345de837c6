// Requests to the server, with the token if it wants one.

export const UNREACHABLE = {
  title: "No answer",
  detail: "The connection to the server failed.",
  hint: "Check that it still runs, and try again.",
};

// The folder of the page, which may be behind a proxy under a path of its own.
const BASE = new URL(".", location.href);

let token = ""; // in memory only
let refused = () => {};
let ahead = 0; // how far the server's clock is ahead of this one, in ms

export const urlOf = (path) => new URL(`.${path}`, BASE).href;
export const hasToken = () => Boolean(token);
export const now = () => Date.now() + ahead;

export function useToken(text) {
  token = text;
}

// Call a function with the problem if the server wants another token.
export function whenRefused(call) {
  refused = call;
}

// Send a request. The promise is rejected if there is no answer.
export async function ask(path, { headers, ...options } = {}) {
  const authorization = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(urlOf(path), { ...options, headers: { ...headers, ...authorization } });
  const sent = Date.parse(response.headers.get("date"));
  if (sent) ahead = sent - Date.now();
  if (response.status === 401) refused(await problemOf(response.clone()));
  return response;
}

// Return the problem that a response has, or one for a response of something in between.
export async function problemOf(response) {
  const text = await response.text();
  try {
    const problem = JSON.parse(text);
    if (typeof problem.title === "string") return problem;
  } catch {
    // not JSON
  }
  return { title: response.statusText || "Error", status: response.status };
}
