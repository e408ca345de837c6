// The page: load the models, ask the chosen one, and show its answer.

import { answered, problemOf, troubled } from "./answer.js";
import { chooser } from "./chooser.js";
import { element, find, say } from "./elements.js";
import { bodyOf, curl, modelsOf, parse, pretty } from "./models.js";

// The folder of the page, which may be behind a proxy under a path of its own.
const BASE = new URL(".", location.href);
const UNREACHABLE = {
  title: "No answer",
  detail: "The connection to the server failed.",
  hint: "Check that it still runs, and try again.",
};

const drafts = new Map(); // what was typed for each model
let models = [];
let model = null;
let token = ""; // in memory only
let running = null; // what aborts the request

const choose = chooser((chosen) => {
  location.hash = chosen.path;
  find("input").focus();
});

const headers = () => (token ? { authorization: `Bearer ${token}` } : {});
const urlOf = (path) => new URL(`.${path}`, BASE).href;
const choice = () => (model.variants.length
  ? { key: find("key").value, variant: find("variant").value }
  : {});

function show(id) {
  for (const each of ["loading", "access", "work"]) find(each).hidden = each !== id;
}

function trouble(problem) {
  find("trouble").hidden = !problem;
  find("trouble").replaceChildren(...(problem ? troubled(problem) : []));
}

async function load() {
  trouble(null);
  show("loading");
  find("openapi").hidden = find("change-token").hidden = true;
  let response;
  try {
    response = await fetch(urlOf("/openapi.json"), { headers: headers() });
    if (response.ok) models = modelsOf(parse(await response.text()));
  } catch {
    return fail(UNREACHABLE);
  }
  if (response.status === 401) return askForToken(token && await problemOf(response));
  if (!response.ok) return fail(await problemOf(response));
  if (!models.length) return fail({ title: "No models", detail: "There is no model to try." });
  find("openapi").hidden = Boolean(token);
  find("change-token").hidden = !token;
  choose.set(models);
  show("work");
  follow();
}

function fail(problem) {
  show(null);
  trouble(problem);
  find("trouble").append(element("button", { onclick: load }, "Try again"));
}

function askForToken(problem) {
  token = "";
  show("access");
  find("openapi").hidden = find("change-token").hidden = true;
  trouble(problem);
  find("token").value = "";
  find("token").focus();
}

// Show the model that the address names, or the first one.
function follow() {
  const path = location.hash.slice(1);
  const named = models.find((each) => each.path === path || each.path === `/${path}`);
  trouble(named || !path ? null : { title: "No such model", detail: `This server has no ${path}.` });
  become(named ?? models[0]);
}

function become(next) {
  if (next === model) return;
  if (model) drafts.set(model.path, find("input").value);
  running?.abort();
  model = next;
  choose.choose(model);
  document.title = `${model.name} · Tidemill`;
  find("model-note").textContent = model.isV2
    ? `${model.ids}, over V2: it has no path of its own`
    : model.ids;
  find("input-label").textContent = model.isText ? "Text" : "JSON";
  find("input").className = model.isText ? "" : "code";
  find("input").value = drafts.get(model.path) ?? model.sample;
  find("sample").hidden = !model.sample;
  find("schema").hidden = model.isText || !Object.keys(Object(model.schema)).length;
  find("schema").lastElementChild.textContent = pretty(model.schema);
  find("split").hidden = !model.variants.length;
  find("key").value = "";
  find("variant").replaceChildren(
    ...["", ...model.variants].map((name) => new Option(name || "by the key or the input", name)));
  put(element("p", { className: "muted" }, "Send a request to see its answer here."));
  update();
}

// Show the command for the present request, if it is one; return its body.
function update() {
  const input = find("input");
  const reason = model.isText ? null : mistakeIn(input.value);
  const body = reason ? "" : bodyOf(model, input.value, choice());
  find("curl").textContent = reason
    ? "The input is not JSON."
    : curl(urlOf(model.path), body, Boolean(token));
  find("copy").hidden = Boolean(reason);
  if (!reason) mistaken("");
  return { body, reason };
}

function mistakeIn(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return text.trim() ? error.message : "it is empty";
  }
}

function mistaken(reason) {
  find("mistake").textContent = reason && `This is not JSON: ${reason}`;
  find("input").setAttribute("aria-invalid", String(Boolean(reason)));
}

async function send() {
  const { body, reason } = update();
  if (running) return;
  if (reason) {
    mistaken(reason);
    find("input").focus();
    return;
  }
  const asked = { model, input: find("input").value };
  const request = new AbortController();
  running = request;
  const stopWaiting = wait();
  let nodes;
  try {
    const start = performance.now();
    const response = await fetch(urlOf(model.path), {
      method: "POST",
      headers: { "content-type": "application/json", ...headers() },
      body,
      signal: request.signal,
    });
    if (response.status === 401) return askForToken(await problemOf(response));
    if (response.ok) {
      const answer = asked.model.read(parse(await response.text()));
      nodes = answered(answer, asked.input, asked.model.isText, performance.now() - start);
    } else {
      nodes = [problemBox(await problemOf(response))];
    }
  } catch (error) {
    nodes = [request.signal.aborted ? cancelled() : problemBox(UNREACHABLE)];
  } finally {
    stopWaiting();
    running = null;
  }
  if (asked.model === model) put(...nodes);
}

function cancelled() {
  say("Cancelled");
  return element("p", { className: "muted" }, "Cancelled.");
}

const problemBox = (problem) => element("div", { className: "problem" }, ...troubled(problem));
const put = (...nodes) => find("result").replaceChildren(...nodes);

// Show that a model works, and for how long; return what ends that.
function wait() {
  const seconds = element("span");
  const start = Date.now();
  const timer = setInterval(() => {
    seconds.textContent = ` ${Math.floor((Date.now() - start) / 1000)} s`;
  }, 1000);
  say(`Waiting for ${model.name}`);
  put(element("p", { className: "waiting muted" }, `Waiting for ${model.name} …`, seconds));
  const answer = find("answer");
  if (answer.getBoundingClientRect().top > innerHeight * 0.8) answer.scrollIntoView();
  answer.setAttribute("aria-busy", "true");
  find("send").setAttribute("aria-disabled", "true");
  find("cancel").hidden = false;
  return () => {
    clearInterval(timer);
    answer.removeAttribute("aria-busy");
    find("send").removeAttribute("aria-disabled");
    if (document.activeElement === find("cancel")) find("send").focus();
    find("cancel").hidden = true;
  };
}

async function copy() {
  const code = find("curl");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch { // without HTTPS, there is no clipboard
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  say("Copied");
  find("copy").textContent = "Copied";
  setTimeout(() => { find("copy").textContent = "Copy"; }, 2000);
}

find("request").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
find("request").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    send();
  }
});
find("request").addEventListener("input", (event) => event.target !== find("model") && update());
find("sample").addEventListener("click", () => {
  find("input").value = model.sample;
  find("input").focus();
  update();
});
find("cancel").addEventListener("click", () => running?.abort());
find("copy").addEventListener("click", copy);
find("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  if (/^[ -~]+$/.test(token)) load();
  else askForToken({ title: "No token", detail: "A token has only ASCII characters." });
});
find("change-token").addEventListener("click", () => askForToken(null));
addEventListener("hashchange", follow);
load();
