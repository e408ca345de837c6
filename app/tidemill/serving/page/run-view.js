// One run: follow it until it ends, cancel it, or retry it.

import { listed, troubled } from "./answer.js";
import { curl } from "./command.js";
import { element, find, say } from "./elements.js";
import { TASKS } from "./jobs.js";
import { poll } from "./poll.js";
import { forget, showResult } from "./result.js";
import { update } from "./runs.js";
import { ask, now, problemOf, UNREACHABLE } from "./server.js";
import { label, percentOf } from "./states.js";
import { duration, local } from "./times.js";

const EVERY_MS = 1000;
const QUIET_MS = 15_000; // between two sentences about the progress, for those who listen

let path = ""; // of the run
let following = null; // what ends the requests
let said = {}; // the last state that was told, and when

// Follow the run with an id.
export function followRun(id) {
  close();
  path = `${TASKS}/${id}`;
  said = { state: null, at: 0 };
  document.title = "Task · Tidemill";
  find("run-title").textContent = "Task";
  for (const each of ["again", "lost", "run-problem", "about"]) find(each).hidden = true;
  find("stop").hidden = find("retry").hidden = find("failure").hidden = true;
  forget();
  follow();
}

// End the requests.
export function close() {
  following?.abort();
}

function follow() {
  following?.abort();
  following = new AbortController();
  const { signal } = following;
  poll(path, { every: EVERY_MS, signal, lost, take: (response) => take(response, signal) });
}

// Show the run in a response; return whether there will be no news of it.
async function take(response, signal) {
  if (response.status === 404) return miss(await problemOf(response));
  if (!response.ok) return lost((await problemOf(response)).title);
  let run;
  try {
    run = await response.json();
  } catch {
    return lost();
  }
  if (signal.aborted) return true;
  find("lost").hidden = true;
  show(run);
  update(run);
  return showResult(path, run, signal);
}

function lost(reason = UNREACHABLE.title) {
  const text = `${reason}. Trying again …`;
  if (find("lost").hidden) say(text);
  find("lost").textContent = text;
  find("lost").hidden = false;
  return false;
}

function miss(problem) {
  find("run-problem").hidden = false;
  find("run-problem").replaceChildren(...troubled(problem));
  return true;
}

function show(run) {
  const isOpen = !run.ended;
  const took = (run.ended ? Date.parse(run.ended) : now()) - Date.parse(run.started ?? run.submitted);
  document.title = `${run.state === "running" ? percentOf(run) : run.state} · ${run.job} · Tidemill`;
  find("about").hidden = false;
  find("run-title").textContent = run.job;
  find("again").hidden = false;
  find("again").href = `#${TASKS}/${encodeURIComponent(run.job)}`;
  label(find("state"), run);
  find("percent").textContent = percentOf(run);
  find("phrase").textContent = run.phrase || (run.state === "waiting" ? "Waits for a worker." : "");
  find("progress").value = run.progress;
  find("facts").replaceChildren(listed({
    Time: run.state === "waiting" ? null : duration(took),
    Submitted: local(run.submitted),
    Attempt: run.attempt > 1 ? run.attempt : null,
    Run: run.id,
  }));
  offer("stop", isOpen && !run.cancelling);
  offer("retry", run.state === "failed" || run.state === "cancelled");
  find("failure").hidden = !run.error;
  if (run.error) {
    find("failure").replaceChildren(...[["p", run.error, ""], ["p", run.hint, "hint"]]
      .filter(([, text]) => text)
      .map(([tag, text, className]) => element(tag, { className, dir: "auto" }, text)));
  }
  tell(run);
}

// Show or hide a button; one that had the focus gives it to the run.
function offer(id, isShown) {
  if (!isShown && document.activeElement === find(id)) find("run").focus();
  find(id).hidden = !isShown;
}

// Tell each new state to those who do not see the page, and sometimes the progress.
function tell({ job, state, phrase, progress, error, hint }) {
  const isNew = state !== said.state;
  if (!isNew && (state !== "running" || performance.now() - said.at < QUIET_MS)) return;
  said = { state, at: performance.now() };
  const rest = state === "running" ? `${percentOf({ progress })}. ${phrase}` : `${error ?? ""} ${hint ?? ""}`;
  say(`${job}: ${state}. ${rest}`);
}

async function change(verb) {
  let problem = null;
  try {
    const response = await ask(`${path}/${verb}`, { method: "POST" });
    if (response.status === 401) return;
    if (!response.ok) problem = await problemOf(response);
  } catch {
    problem = UNREACHABLE;
  }
  find("run-problem").hidden = !problem;
  if (problem) return find("run-problem").replaceChildren(...troubled(problem));
  if (verb === "retry") forget();
  follow();
}

find("stop").addEventListener("click", () => change("cancel"));
find("retry").addEventListener("click", () => change("retry"));

export const commandOf = (id) => curl(`${TASKS}/${id}/result`);
