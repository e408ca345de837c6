// One run: follow it until it ends, and show its result, or the best one so far.

import { code, listed, troubled } from "./answer.js";
import { curl } from "./command.js";
import { element, find, say } from "./elements.js";
import { TASKS } from "./jobs.js";
import { parse, pretty } from "./json.js";
import { clear, draw, fileOf, hasPicture } from "./picture.js";
import { poll } from "./poll.js";
import { update } from "./runs.js";
import { ask, now, problemOf, UNREACHABLE } from "./server.js";
import { label, percentOf } from "./states.js";
import { duration, local } from "./times.js";

const EVERY_MS = 1000;
// A result may be large. Do not spend more than a tenth of the time on asking for it.
const REST = 10;
const QUIET_MS = 15_000; // between two sentences about the progress, for those who listen

let path = ""; // of the run
let following = null; // what ends the requests
let result = {}; // what is shown: its text, and when to ask again
let said = {};

// Follow the run with an id.
export function followRun(id) {
  close();
  path = `${TASKS}/${id}`;
  result = { text: null, next: 0 };
  said = { state: null, at: 0 };
  document.title = "Task · Tidemill";
  find("run-title").textContent = "Task";
  for (const each of ["again", "lost", "run-problem", "about"]) find(each).hidden = true;
  find("stop").hidden = find("retry").hidden = find("failure").hidden = true;
  find("outcome").hidden = true;
  clear(find("figure"));
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
  const lost = () => { find("lost").hidden = false; };
  poll(path, { every: EVERY_MS, signal, lost, take: (response) => take(response, signal, lost) });
}

// Show the run in a response; return whether there will be no news of it.
async function take(response, signal, lost) {
  if (response.status === 404) return miss(await problemOf(response));
  if (!response.ok) return lost();
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
  if (performance.now() < result.next && !run.ended) return false;
  const isKnown = await showResult(run, signal).catch(() => false);
  return Boolean(run.ended) && isKnown;
}

function miss(problem) {
  find("run-problem").hidden = false;
  find("run-problem").replaceChildren(...troubled(problem));
  return true;
}

function show(run) {
  const isOpen = !run.ended;
  const from = Date.parse(run.started ?? run.submitted);
  const took = (run.ended ? Date.parse(run.ended) : now()) - from;
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
    [run.started ? "Time" : "Waiting for"]: duration(took),
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

// Show the result, or the best so far; return whether it is known if there is one.
async function showResult(run, signal) {
  const start = performance.now();
  const response = await ask(`${path}/latest`, { signal });
  const text = await response.text();
  const end = performance.now();
  result.next = end + Math.max(EVERY_MS / 2, (end - start) * REST);
  if (!response.ok) return response.status === 404 || response.status === 409;
  if (text === result.text || signal.aborted) return true;
  result.text = text;
  const { final, result: value } = parse(text);
  const isPicture = hasPicture(value);
  const figure = find("figure");
  if (isPicture) await draw(figure, value);
  else clear(figure);
  if (signal.aborted) return true;
  find("outcome").hidden = false;
  find("outcome-title").textContent = final ? "Result" : "Best result so far";
  const name = `${run.job}-${run.id.slice(0, 8)}`;
  const saves = [save("Save the JSON", pretty(value), "application/json", `${name}.json`)];
  if (isPicture) saves.unshift(save("Save the picture", value.svg, "image/svg+xml", `${name}.svg`));
  find("saves").replaceChildren(...saves);
  find("json").open ||= !isPicture;
  find("json").lastElementChild.replaceChildren(code(value));
  return true;
}

function save(text, content, type, download) {
  return element("button", { type: "button", className: "quiet", onclick: () => {
    const link = element("a", { href: fileOf(content, type), download });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } }, text);
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
  if (verb === "retry") {
    result.text = null;
    find("outcome").hidden = true;
    clear(find("figure"));
  }
  follow();
}

find("stop").addEventListener("click", () => change("cancel"));
find("retry").addEventListener("click", () => change("retry"));

export const commandOf = (id) => curl(`${TASKS}/${id}/result`);
