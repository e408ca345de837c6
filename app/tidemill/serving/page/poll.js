// Ask the server for the same thing again and again.

import { ask } from "./server.js";

// While nobody looks at the page, it asks less often.
const HIDDEN_MS = 15_000;

// Ask until `take`, which gets each response, returns true, or until the signal. Call `lost` if
// there is no answer.
export async function poll(path, { every, signal, take, lost }) {
  while (!signal.aborted) {
    let response = null;
    try {
      response = await ask(path, { signal });
    } catch {
      if (!signal.aborted) lost();
    }
    if (response?.status === 401) return; // the page asks for another token
    if (response && !signal.aborted && await take(response)) return;
    const seconds = Number(response?.headers.get("retry-after")) || 0;
    await pause(Math.max(document.hidden ? HIDDEN_MS : every, seconds * 1000), signal);
  }
}

// Wait; a person who comes back to the page does not wait.
function pause(ms, signal) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      over.abort();
      resolve();
    }
    signal.addEventListener("abort", end, { signal: over.signal });
    document.addEventListener("visibilitychange", end, { signal: over.signal });
  });
}
