// The parameters of a task: a form if the job's schema has members, or JSON.

import { visible } from "./command.js";
import { Misfit } from "./controls.js";
import { element } from "./elements.js";
import { labelled, members } from "./fields.js";
import { mistakeIn, parse, pretty } from "./json.js";

// Return what a person fills in: its `node`, `body()`, and `mark(detail)`.
export function parametersOf({ schema }) {
  const hasForm = Boolean(schema.properties && !schema.additionalProperties);
  const holder = element("div", { className: "fields" });
  const area = element("textarea", { className: "code", rows: 8, spellcheck: false });
  area.ariaLabel = "Parameters as JSON";
  const mistake = element("p", { className: "mistake" });
  mistake.setAttribute("role", "alert");
  const toggle = button("", () => (form ? showJson(form.text()) : leaveJson()));
  let form = null; // null if the JSON counts

  function show(value) {
    try {
      form = hasForm ? members({ schema, value, place: [] }) : null;
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      form = null;
      showJson(pretty(value));
      mistake.textContent = `The form has no field for ${error.message}.`;
      return;
    }
    if (!form) return showJson(pretty(value));
    mistake.textContent = "";
    holder.replaceChildren(...form.fields.map(labelled));
    toggle.textContent = "As JSON";
  }

  function showJson(text) {
    form = null;
    mistake.textContent = "";
    area.value = mistakeIn(text) ? text : pretty(parse(text));
    judge();
    holder.replaceChildren(area);
    toggle.textContent = "As a form";
  }

  function leaveJson() {
    const reason = mistakeIn(area.value);
    if (reason) mistake.textContent = `This is not JSON: ${reason}`;
    else show(parse(area.value));
  }

  function judge() {
    const reason = mistakeIn(area.value);
    area.setCustomValidity(reason ? `This is not JSON: ${reason}` : "");
  }

  area.addEventListener("input", () => {
    mistake.textContent = "";
    judge();
  });
  const examples = schema.examples ?? [];
  const fillers = examples.map((value, index) =>
    button(examples.length > 1 ? `Example ${index + 1}` : "Example", () => show(value)));
  if (examples.length) fillers.unshift(button("Empty", () => show(schema.default ?? {})));
  toggle.hidden = !hasForm;
  const buttons = element("div", { className: "buttons" }, ...fillers, toggle);
  const heading = element("div", { className: "heading" }, element("h3", {}, "Parameters"), buttons);
  show(examples[0] ?? schema.default ?? {});
  return {
    node: element("div", { className: "parameters" }, heading, holder, mistake),
    body: () => visible(form ? form.text() : area.value.trim()),
    mark: (detail) => mark(detail, form, area),
  };
}

function button(text, onclick) {
  return element("button", { type: "button", className: "quiet", onclick: (event) => {
    onclick();
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  } }, text);
}

// Lead to the field that the server's message names, and say there what is wrong with it:
// `… 'job': products.2.length: the reason`.
function mark(detail, form, area) {
  const [, place, reason] = /': ([^:]+): (.*)/s.exec(detail) ?? [];
  const field = form ? place && form.find(place.split(".")) : area;
  if (!field) return;
  const message = reason ?? detail;
  const withdraw = () => field.validationMessage === message && field.setCustomValidity("");
  field.setCustomValidity(message);
  field.setAttribute("aria-invalid", "true");
  field.addEventListener("blur", withdraw, { once: true });
  field.addEventListener("input", () => {
    withdraw();
    field.removeAttribute("aria-invalid");
  }, { once: true });
  field.reportValidity();
}
