// The page: load what the server has, ask for a token if it wants one, and show what the address
// names: a model, a job, or a run of a job.

import { troubled } from "./answer.js";
import { element, find } from "./elements.js";
import { parse } from "./json.js";
import { jobsOf, TASKS } from "./jobs.js";
import { openModel, setModels } from "./model-view.js";
import { modelsOf } from "./models.js";
import { ask, hasToken, problemOf, UNREACHABLE, useToken, whenRefused } from "./server.js";
import { closeTasks, openTasks, setJobs } from "./task-view.js";

let models = [];
let jobs = [];

function show(id) {
  for (const each of ["loading", "access", "work", "tasks"]) find(each).hidden = each !== id;
}

function trouble(problem) {
  find("trouble").hidden = !problem;
  find("trouble").replaceChildren(...(problem ? troubled(problem) : []));
}

async function load() {
  trouble(null);
  show("loading");
  find("pages").hidden = find("openapi").hidden = find("change-token").hidden = true;
  let response;
  try {
    response = await ask("/openapi.json");
    if (response.ok) take(parse(await response.text()));
  } catch {
    return fail(UNREACHABLE);
  }
  if (response.status === 401) return;
  if (!response.ok) return fail(await problemOf(response));
  if (!models.length && !jobs.length) {
    return fail({ title: "Nothing to try", detail: "There is no model and no job." });
  }
  find("pages").hidden = !(models.length && jobs.length);
  find("openapi").hidden = hasToken();
  find("change-token").hidden = !hasToken();
  follow();
}

function take(described) {
  models = modelsOf(described);
  jobs = jobsOf(described);
  setModels(models);
  setJobs(jobs);
}

function fail(problem) {
  show(null);
  trouble(problem);
  find("trouble").append(element("button", { onclick: load }, "Try again"));
}

function askForToken(problem) {
  closeTasks();
  useToken("");
  show("access");
  find("pages").hidden = find("openapi").hidden = find("change-token").hidden = true;
  trouble(problem);
  find("token").value = "";
  find("token").focus();
}

// Show what the address names, or else the first model, or the first job.
function follow() {
  if (!models.length && !jobs.length) return;
  const path = location.hash.slice(1).replace(/^\/$/, "");
  const isTask = jobs.length > 0 && (path.startsWith(TASKS) || !models.length);
  closeTasks();
  show(isTask ? "tasks" : "work");
  find("to-models").ariaCurrent = isTask ? null : "page";
  find("to-tasks").ariaCurrent = isTask ? "page" : null;
  trouble(isTask ? openTasks(path) : openModel(path));
}

find("access").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = find("token").value.trim();
  if (!/^[ -~]+$/.test(token)) {
    return askForToken({ title: "No token", detail: "A token has only ASCII characters." });
  }
  useToken(token);
  load();
});
find("change-token").addEventListener("click", () => askForToken(null));
// Several requests may be refused at once.
whenRefused((problem) => find("access").hidden && askForToken(hasToken() ? problem : null));
addEventListener("hashchange", () => find("access").hidden && follow());
load();
