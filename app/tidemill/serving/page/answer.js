// What a request led to: an answer, or a problem.

import { element, say } from "./elements.js";
import { pretty } from "./json.js";
import { entitiesOf, marked, summary } from "./marks.js";

// Longer ones would make the page slow.
const MAX_SHOWN = 200_000;

// Return an answer: the input with its entities if the output is a list of them, or else the JSON.
export function answered({ output, model, version, variant, isForced }, input, isText, ms) {
  const entities = isText ? entitiesOf(output, input) : null;
  const found = entities && summary(entities);
  const took = ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
  const facts = { Time: took, Model: model, Version: version };
  if (variant) facts.Variant = isForced ? `${variant} (forced)` : variant;
  const of = [model, version, variant && `variant ${variant}`].filter(Boolean).join(" ");
  say(`Answer of ${of} in ${took}${found ? `: ${found}` : ""}`);
  const nodes = [listed(facts)];
  if (entities) {
    const json = element("details", {}, element("summary", {}, "JSON"), code(output));
    nodes.push(marked(input, entities), element("p", { className: "muted" }, found), json);
  } else {
    nodes.push(code(output));
  }
  return nodes;
}

// Return a problem: what went wrong, and what to do.
export function troubled({ title, status, detail, hint, instance: _, type: __ }) {
  say(`${title}. ${detail ?? ""} ${hint ?? ""}`);
  const nodes = [element("h3", {}, title)];
  if (status) nodes[0].append(" ", element("span", { className: "status" }, `${status}`));
  if (detail) nodes.push(element("p", { dir: "auto" }, detail));
  if (hint) nodes.push(element("p", { className: "hint", dir: "auto" }, hint));
  return nodes;
}

// Return a problem in a box of its own.
export const problemBox = (problem) => element("div", { className: "problem" }, ...troubled(problem));

// Return JSON as it is shown: indented, and not longer than the page can bear.
export function code(value) {
  const text = pretty(value);
  const shown = text.slice(0, MAX_SHOWN);
  const pre = element("pre", { tabIndex: 0, dir: "auto", role: "region", ariaLabel: "JSON" }, shown);
  if (shown === text) return pre;
  const rest = (text.length - MAX_SHOWN).toLocaleString("en");
  return element("div", {}, pre, element("p", { className: "muted" }, `… and ${rest} more characters`));
}

// Return facts as a list; those without a value are left out.
export function listed(facts) {
  const list = element("dl");
  for (const [name, value] of Object.entries(facts)) {
    if (value) list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  }
  return list;
}
