// A form for a value of a JSON Schema: a field for each text, number, choice and yes or no, a table
// for a list of objects, and JSON for the rest.

import { check, choice, json, Misfit, number, words } from "./controls.js";
import { element } from "./elements.js";
import { isObject } from "./json.js";
import { rows } from "./rows.js";

// Return a field: its `node`, `control` or none, `text()` (JSON, or "" to leave the value out), and
// `find(place)` (the control at names and indexes, or null).
export function fieldOf(described, value, place, isRequired) {
  const { schema, isNullable } = withoutNull(described);
  const given = value === undefined ? schema.default : value;
  const taken = { schema, value: given ?? undefined, place, isRequired, isNullable };
  const isDefault = (schema.default ?? null) === null || isRequired; // else null is not the default
  if (value === null && !(isNullable && isDefault)) throw new Misfit(place.join("."));
  return kindOf(schema, place, isNullable)(taken);
}

// Return the fields of an object without a frame of its own.
export function members({ schema, value = {}, place }) {
  if (!isObject(value)) throw new Misfit(place.join("."));
  const unknown = Object.keys(value).find((name) => !Object.hasOwn(schema.properties, name));
  if (unknown !== undefined) throw new Misfit([...place, unknown].join("."));
  const fields = Object.entries(schema.properties).map(([name, each]) => {
    const own = Object.hasOwn(value, name) ? value[name] : undefined;
    const isRequired = schema.required?.includes(name) ?? false;
    return { name, title: titleOf(each, name), note: each.description,
      ...fieldOf(each, own, [...place, name], isRequired) };
  });
  return {
    fields,
    text: () => {
      const written = fields.map(({ name, text }) => [JSON.stringify(name), text()]);
      return `{${written.filter(([, text]) => text).map((pair) => pair.join(": ")).join(", ")}}`;
    },
    find: ([name, ...rest]) => fields.find((each) => each.name === name)?.find(rest) ?? null,
  };
}

// Return a member with its label and its description.
export function labelled({ title, note, node, control }) {
  if (!control) return node;
  const label = element("label", { htmlFor: identified(control) }, title);
  const parts = control.type === "checkbox"
    ? [element("div", { className: "check" }, node, label)]
    : [label, node];
  if (note) {
    const described = element("p", { className: "muted" }, note);
    control.setAttribute("aria-describedby", identified(described));
    parts.splice(1, 0, described);
  }
  return element("div", { className: node.tagName === "TEXTAREA" ? "field wide" : "field" }, ...parts);
}

export const titleOf = (schema, name) => schema.title || name;

function kindOf(schema, place, isNullable) {
  if (schema.enum || "const" in schema || (schema.type === "boolean" && isNullable)) return choice;
  if (schema.type === "boolean") return check;
  if (schema.type === "integer" || schema.type === "number") return number;
  if (schema.type === "string") return words;
  if (schema.properties && !schema.additionalProperties && place.length < 2) return group;
  if (schema.type === "array" && isTable(schema.items) && place.length < 2) return rows;
  return json;
}

// Return whether each object of a list fits in a row.
function isTable(items) {
  if (!items?.properties || items.additionalProperties) return false;
  const scalars = [choice, check, number, words];
  return Object.values(items.properties).every((each) => {
    const { schema, isNullable } = withoutNull(each);
    return scalars.includes(kindOf(schema, [], isNullable));
  });
}

function withoutNull({ anyOf, ...own }) {
  const kinds = anyOf ?? [];
  const others = kinds.filter(({ type }) => type !== "null");
  if (kinds.length && others.length === 1) {
    return { schema: { ...others[0], ...own }, isNullable: others.length < kinds.length };
  }
  if (Array.isArray(own.type) && own.type.length === 2 && own.type.includes("null")) {
    const type = own.type.find((each) => each !== "null");
    return { schema: { ...own, type }, isNullable: true };
  }
  return { schema: anyOf ? { ...own, anyOf } : own, isNullable: false };
}

function group({ schema, value, place, isRequired }) {
  if (!isRequired && value === undefined && schema.required?.length) {
    return json({ schema, value, place, isRequired });
  }
  const { fields, text, find } = members({ schema, value, place });
  const legend = element("legend", {}, titleOf(schema, place.at(-1)));
  const node = element("fieldset", { className: "members" }, legend);
  if (schema.description) node.append(element("p", { className: "muted" }, schema.description));
  node.append(...fields.map(labelled));
  return { node, text, find };
}

let made = 0;

function identified(node) {
  node.id ||= `field-${made++}`;
  return node.id;
}
