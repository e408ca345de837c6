// The part of the page that asks models: choose one, ask it, and show its answer.

import { answered, problemBox } from "./answer.js";
import { chooser } from "./chooser.js";
import { copies, curl } from "./command.js";
import { element, find, say } from "./elements.js";
import { JSON_TYPE, mistakeIn, parse, pretty } from "./json.js";
import { bodyOf } from "./models.js";
import { ask, problemOf, UNREACHABLE } from "./server.js";

const drafts = new Map(); // what was typed for each model
let models = [];
let model = null;
let running = null; // what aborts the request

const choose = chooser((chosen) => {
  location.hash = chosen.path;
  find("input").focus();
});

const choice = () => (model.variants.length
  ? { key: find("key").value, variant: find("variant").value }
  : {});

// Take the models that there are.
export function setModels(all) {
  models = all;
  choose.set(models);
}

// Show the model that a path names, or the first one; return a problem if it names none.
export function openModel(path) {
  const named = models.find((each) => each.path === path || each.path === `/${path}`);
  if (models.length) become(named ?? models[0]);
  return named || !path ? null : { title: "No such model", detail: `This server has no ${path}.` };
}

function become(next) {
  document.title = `${next.name} · Tidemill`;
  if (next === model) return;
  if (model) drafts.set(model.path, find("input").value);
  running?.abort();
  model = next;
  choose.choose(model);
  find("to-models").href = `#${model.path}`;
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
    : curl(model.path, body);
  find("copy").hidden = Boolean(reason);
  if (!reason) mistaken("");
  return { body, reason };
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
    const response = await ask(model.path, {
      method: "POST",
      headers: { "content-type": JSON_TYPE },
      body,
      signal: request.signal,
    });
    if (response.status === 401) return; // the page asks for another token
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
copies(find("copy"), find("curl"));
