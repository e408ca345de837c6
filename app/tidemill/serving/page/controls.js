// Single fields of a form: a number, a text, a choice, yes or no, or JSON.

import { element } from "./elements.js";
import { isNumber, mistakeIn, pretty } from "./json.js";

// A value that has no field; the message says where.
export class Misfit extends Error {}

// Each function returns a field, as `fieldOf` describes it.

export function number({ schema, value, place, ...how }) {
  const control = element("input", { type: "number" });
  const limits = { min: schema.minimum, max: schema.maximum, step: schema.multipleOf };
  if (limits.step === undefined && schema.type === "number") limits.step = "any";
  for (const [name, limit] of Object.entries(limits)) {
    if (limit !== undefined) control[name] = isNumber(limit) ? JSON.stringify(limit) : limit;
  }
  if (value !== undefined) control.value = JSON.stringify(value);
  if (value !== undefined && !(isNumber(value) && control.value)) throw new Misfit(place.join("."));
  control.required = how.isRequired && !how.isNullable;
  const written = () => (mistakeIn(control.value) ? `${control.valueAsNumber}` : control.value);
  return scalar(control, schema, () => (control.value ? written() : ""), how);
}

export function words({ schema, value, place, ...how }) {
  if (value !== undefined && typeof value !== "string") throw new Misfit(place.join("."));
  const isLong = value?.includes("\n");
  const control = element(isLong ? "textarea" : "input", { autocomplete: "off", spellcheck: false });
  if (!isLong) control.type = schema.format === "date" ? "date" : "text";
  if (schema.maxLength !== undefined) control.maxLength = schema.maxLength;
  control.dir = "auto";
  control.value = value ?? "";
  if (value !== undefined && control.value !== value) throw new Misfit(place.join("."));
  control.required = how.isRequired && !how.isNullable && schema.minLength > 0;
  const isKept = () => control.value || (how.isRequired && !how.isNullable) || schema.default;
  return scalar(control, schema, () => (isKept() ? JSON.stringify(control.value) : ""), how);
}

export function choice({ schema, value, place, ...how }) {
  const all = schema.enum ?? ("const" in schema ? [schema.const] : [false, true]);
  const texts = all.map((each) => JSON.stringify(each));
  const isOptional = !how.isRequired || how.isNullable;
  const options = all.map((each, index) =>
    new Option(typeof each === "string" ? each : texts[index], texts[index]));
  const control = element("select", {}, ...(isOptional ? [new Option("", "")] : []), ...options);
  if (value !== undefined) control.value = JSON.stringify(value);
  if (control.selectedIndex < 0) throw new Misfit(place.join("."));
  return scalar(control, schema, () => control.value, how);
}

export function check({ schema, value, place, ...how }) {
  if (value !== undefined && typeof value !== "boolean") throw new Misfit(place.join("."));
  const control = element("input", { type: "checkbox", checked: value ?? false });
  return scalar(control, schema, () => `${control.checked}`, how);
}

export function json({ schema, value, isRequired, isNullable }) {
  const control = element("textarea", { className: "code", rows: 3, spellcheck: false });
  control.value = value === undefined ? "" : pretty(value);
  control.required = isRequired && !isNullable;
  control.placeholder = "JSON";
  const judge = () => {
    const reason = control.value.trim() && mistakeIn(control.value);
    control.setCustomValidity(reason ? `This is not JSON: ${reason}` : "");
  };
  control.addEventListener("input", judge);
  const made = scalar(control, schema, () => control.value.trim(), { isRequired, isNullable });
  return { ...made, find: () => control };
}

// An empty field is null if it has to be there, and else it is left out.
function scalar(control, schema, written, { isRequired, isNullable }) {
  if (schema.default !== undefined && schema.default !== null && "placeholder" in control) {
    const text = typeof schema.default === "string" ? schema.default : JSON.stringify(schema.default);
    control.placeholder = text.slice(0, 100);
  }
  const text = () => written() || (isRequired && isNullable ? "null" : "");
  return { node: control, control, text, find: (place) => (place.length ? null : control) };
}
