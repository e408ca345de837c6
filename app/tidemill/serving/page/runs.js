// The latest runs, to choose one of them.

import { element, find } from "./elements.js";
import { TASKS } from "./jobs.js";
import { poll } from "./poll.js";
import { problemOf, UNREACHABLE } from "./server.js";
import { label, percentOf } from "./states.js";
import { ago, local } from "./times.js";

const EVERY_MS = 3000;

const shown = new Map(); // by id, so that a link keeps the focus while its run goes on
let listing = null; // what ends the requests

// List the latest runs, and keep them up to date; mark the one that is open.
export function list(open) {
  stop();
  listing = new AbortController();
  const { signal } = listing;
  poll(TASKS, { every: EVERY_MS, signal, lost, take: (response) => take(response, open) });
}

// Show news of the run that is open at once.
export function update(run) {
  shown.get(run.id)?.update(run, true);
}

export function stop() {
  listing?.abort();
}

async function take(response, open) {
  if (!response.ok) return remark((await problemOf(response)).title);
  let runs;
  try {
    ({ runs } = await response.json());
  } catch {
    return lost();
  }
  for (const run of runs.toReversed()) {
    if (!shown.has(run.id)) {
      shown.set(run.id, entry(run));
      find("runs").prepend(shown.get(run.id).node);
    }
    shown.get(run.id).update(run, run.id === open);
  }
  const ids = new Set(runs.map(({ id }) => id));
  for (const [id, { node }] of shown) {
    if (ids.has(id)) continue;
    node.remove();
    shown.delete(id);
  }
  remark(runs.length ? "" : "There are no runs yet.");
  return false;
}

const lost = () => remark(`${UNREACHABLE.title}. Trying again …`);

function remark(text) {
  find("runs-note").textContent = text;
  return false;
}

function entry({ id, job, submitted }) {
  const state = element("span", { className: "state" });
  const percent = element("span", { className: "percent" });
  const when = element("time", { dateTime: submitted, title: local(submitted), className: "muted" });
  const link = element("a", { href: `#${TASKS}/${id}` },
    element("span", { className: "name" }, job), " ", state, " ", percent, " ", when);
  return {
    node: element("li", {}, link),
    update: (run, isOpen) => {
      label(state, run);
      percent.textContent = run.state === "running" ? percentOf(run) : "";
      when.textContent = ago(submitted);
      link.ariaCurrent = isOpen ? "true" : null;
    },
  };
}
