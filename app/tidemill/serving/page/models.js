// The models of the OpenAPI document, and how to ask each of them.

import { visible } from "./command.js";
import { JSON_TYPE, parse, pretty } from "./json.js";

// Return a model for each path of the document; those of the store's tables are none.
export function modelsOf({ paths }) {
  return Object.entries(paths).filter(([path]) => !path.startsWith("/v1/")).map(([path, { post }]) => {
    const { schema, example } = post.requestBody.content[JSON_TYPE];
    const take = path.startsWith("/v2/") ? overV2 : plain;
    return { path, ids: post.summary, ...take(schema.properties, example?.inputs[0], path) };
  });
}

// The body has the input as it was typed, so that no number loses digits.
export const bodyOf = (model, input, choice) =>
  visible(model.body(model.isText ? input : input.trim(), choice));

function plain({ inputs, variant }, example, path) {
  const isText = inputs.items.type === "string";
  return {
    name: path.slice(1).split("/").map(decodeURIComponent).join("/"),
    isText,
    schema: inputs.items,
    sample: written(example, isText),
    variants: variant?.enum ?? [],
    body: (input, choice) => {
      const value = isText ? JSON.stringify(input) : input;
      return `{"inputs": [${value}]${fields(choice)}}`;
    },
    read: ({ outputs, variant_forced: isForced, ...answer }) => (
      { ...answer, isForced, output: outputs[0] }),
  };
}

function overV2({ inputs, parameters }, example, path) {
  const { name, data } = inputs.items.properties;
  const isText = data.items.contentMediaType !== JSON_TYPE;
  const [, , , model, , version] = path.split("/").map(decodeURIComponent);
  const text = example?.data[0];
  return {
    name: path.includes("/versions/") ? `${model}:${version}` : model,
    isV2: true,
    isText,
    schema: isText ? data.items : data.items.contentSchema,
    sample: written(isText || text === undefined ? text : parse(text), isText),
    variants: parameters?.properties.variant.enum ?? [],
    body: (input, choice) => {
      const data = `[${JSON.stringify(input)}]`;
      const tensor = `{"name": ${JSON.stringify(name.const)}, "datatype": "BYTES", "shape": [1], "data": ${data}}`;
      const chosen = fields(choice).slice(2);
      return `{"inputs": [${tensor}]${chosen && `, "parameters": {${chosen}}`}}`;
    },
    read: (answer) => ({
      model: answer.model_name,
      version: answer.model_version,
      variant: answer.parameters?.variant,
      isForced: answer.parameters?.variant_forced,
      output: outputOf(answer.outputs),
    }),
  };
}

// Return the output in the tensors of an answer: one has the whole output, several its fields.
function outputOf(tensors) {
  if (tensors.length === 1) return valueOf(tensors[0], true);
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, valueOf(tensor, false)]));
}

// A tensor of BYTES has texts or JSON texts. It does not always say which.
function valueOf({ data: [value], datatype, parameters }, mayBeJson) {
  if (datatype !== "BYTES" || !(mayBeJson || parameters?.content_type === "json")) return value;
  try {
    return parse(value);
  } catch {
    return value;
  }
}

function written(example, isText) {
  if (example === undefined) return "";
  return isText ? example : pretty(example);
}

const fields = (choice) =>
  Object.entries(choice).filter(([, value]) => value)
    .map(([name, value]) => `, "${name}": ${JSON.stringify(value)}`).join("");
