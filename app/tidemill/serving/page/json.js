// JSON, with all digits of its numbers.

export const JSON_TYPE = "application/json";

// Parse JSON; numbers that JavaScript would write in another way stay as they are.
export function parse(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && JSON.rawJSON && context.source !== String(value)
      ? JSON.rawJSON(context.source)
      : value);
}

export const pretty = (value) => JSON.stringify(value, null, 2);

export const isNumber = (value) => typeof value === "number" || Boolean(JSON.isRawJSON?.(value));

export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isNumber(value);

// Return why a text is not JSON; null if it is.
export function mistakeIn(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return text.trim() ? error.message : "it is empty";
  }
}
