// The part of the page for long tasks: submit one, or follow one.

import { problemBox } from "./answer.js";
import { copies, curl } from "./command.js";
import { find, say } from "./elements.js";
import { TASKS } from "./jobs.js";
import { JSON_TYPE } from "./json.js";
import { parametersOf } from "./parameters.js";
import { close, commandOf, followRun } from "./run-view.js";
import { list, stop } from "./runs.js";
import { ask, problemOf, UNREACHABLE } from "./server.js";

const RUN = /^\/v1\/tasks\/([0-9a-f]{32})$/;

let filled = new Map(); // what was filled in for each job
let jobs = [];
let job = null;
let isSending = false;
// What the last request asked for, unless it was accepted. To send the same again is to ask whether
// it was, so it has the same key.
let pending = null;

// Take the jobs that there are.
export function setJobs(all) {
  jobs = all;
  job = null;
  filled = new Map();
  find("job").replaceChildren(...jobs.map(({ path, name }) => new Option(name, path)));
}

// Show the job or the run that a path names, or the last job; return a problem if it names none.
export function openTasks(path) {
  const named = jobs.find(({ name }) => name === nameIn(path));
  const [, run] = (!named && RUN.exec(path)) || [];
  find("submission").hidden = Boolean(run);
  find("run").hidden = !run;
  list(run);
  if (run) {
    find("task-curl").textContent = commandOf(run);
    find("task-copy").hidden = false;
    followRun(run);
    return null;
  }
  become(named ?? job ?? jobs[0]);
  const isKnown = named || !path || path === TASKS;
  return isKnown ? null : { title: "No such job or run", detail: `This server has no ${path}.` };
}

function nameIn(path) {
  try {
    return decodeURIComponent(path.slice(TASKS.length + 1));
  } catch {
    return "";
  }
}

// End the requests.
export function closeTasks() {
  close();
  stop();
}

function become(next) {
  job = next;
  document.title = `${job.name} · Tidemill`;
  find("job").value = job.path;
  find("to-tasks").href = `#${job.path}`;
  find("job-note").textContent = job.schema.description ?? "";
  if (!filled.has(job)) filled.set(job, parametersOf(job));
  find("parameters").replaceChildren(filled.get(job).node);
  refuse(null);
  update();
}

// Show the command for the task, if its parameters are complete.
function update() {
  const isComplete = find("submission").matches(":valid");
  find("task-curl").textContent = isComplete
    ? curl(job.path, filled.get(job).body())
    : "The parameters are not complete.";
  find("task-copy").hidden = !isComplete;
}

function refuse(problem) {
  find("refusal").replaceChildren(...(problem ? [problemBox(problem)] : []));
}

async function submit() {
  if (isSending) return;
  const { path } = job;
  const parameters = filled.get(job);
  const body = parameters.body();
  if (pending?.path !== path || pending.body !== body) pending = { path, body, key: newKey() };
  isSending = true;
  find("submit").setAttribute("aria-disabled", "true");
  refuse(null);
  say("Submitting");
  try {
    const headers = { "content-type": JSON_TYPE, "idempotency-key": pending.key };
    const response = await ask(path, { method: "POST", headers, body });
    if (response.status === 401) return; // the page asks for another token
    if (response.ok) return open(await response.json());
    const problem = await problemOf(response);
    refuse(problem);
    if (response.status === 422) parameters.mark(problem.detail ?? "");
  } catch {
    refuse({ ...UNREACHABLE, hint: "Submit it again: if it was accepted, no second run begins." });
  } finally {
    isSending = false;
    find("submit").removeAttribute("aria-disabled");
  }
}

function open({ id }) {
  pending = null;
  location.hash = `${TASKS}/${id}`;
  find("run").hidden = false;
  find("run").focus();
}

// Without HTTPS there is no randomUUID.
const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

find("submission").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
find("submission").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.tagName === "BUTTON") return;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    find("submission").requestSubmit();
  } else if (event.target.tagName === "INPUT") {
    event.preventDefault(); // a task is too long to begin by accident
  }
});
find("submission").addEventListener("input", () => job && update());
find("job").addEventListener("change", (event) => { location.hash = event.target.value; });
copies(find("task-copy"), find("task-curl"));
