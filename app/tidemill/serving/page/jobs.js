// The jobs of the OpenAPI document, and the schema of each one's parameters.

import { isObject, JSON_TYPE } from "./json.js";

export const TASKS = "/v1/tasks";

// Deeper parts of a schema, such as those of one that refers to itself, are any value.
const MAX_DEPTH = 6;

// Return a job for each path that accepts its tasks.
export function jobsOf(described) {
  return Object.entries(described.paths)
    .filter(([path, { post }]) => post && path.startsWith(`${TASKS}/`) && !path.includes("{"))
    .map(([path, { post }]) => {
      const schema = inlined(post.requestBody.content[JSON_TYPE].schema, described);
      return { path, name: decodeURIComponent(path.slice(TASKS.length + 1)), schema };
    });
}

// Return a schema that refers to no other one.
function inlined(schema, described, depth = 0) {
  if (!isObject(schema) || depth > MAX_DEPTH) return {};
  const within = (each) => inlined(each, described, depth + 1);
  const { $ref, ...own } = schema;
  const found = { ...($ref ? within(referred($ref, described)) : {}), ...own };
  if (own.allOf?.length === 1) Object.assign(found, { ...within(own.allOf[0]), ...own });
  if (own.properties) {
    const all = Object.entries(own.properties).map(([name, each]) => [name, within(each)]);
    found.properties = Object.fromEntries(all);
  }
  if (own.items) found.items = within(own.items);
  if (own.anyOf) found.anyOf = own.anyOf.map(within);
  return found;
}

// Return what a JSON pointer such as `#/components/schemas/Run` refers to.
function referred(pointer, described) {
  const names = pointer.split("/").slice(1).map((each) =>
    decodeURIComponent(each).replaceAll("~1", "/").replaceAll("~0", "~"));
  return names.reduce((value, name) => value?.[name], described);
}
