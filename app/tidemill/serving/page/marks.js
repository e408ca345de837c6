// Entities in a text: find them in an output, and mark them.

import { element } from "./elements.js";

// The fields that name an entity's kind, and the first one that an entity has wins.
const LABELS = ["category", "entity_group", "label", "type", "entity"];
// An output with more, or with more upon one another, is shown as JSON.
const MAX_ENTITIES = 5000;
const MAX_DEPTH = 8;
const HUES = 8;

const hues = new Map();

// Return the entities of an output; null if it is not a list of entities in the text.
export function entitiesOf(output, text) {
  if (!Array.isArray(output) || !output.length || output.length > MAX_ENTITIES) return null;
  const length = [...text].length;
  const entities = output.map((each) => {
    const label = each && LABELS.map((name) => each[name]).find((value) => typeof value === "string");
    return { start: each?.start, end: each?.end, label };
  });
  const fit = entities.every(({ start, end, label }) =>
    label && Number.isInteger(start) && Number.isInteger(end)
    && 0 <= start && start <= end && end <= length);
  return fit && depth(entities) <= MAX_DEPTH ? entities : null;
}

// Return the text with its entities marked. Marks within marks show entities that overlap; one that
// crosses the end of another is continued after it.
export function marked(text, entities) {
  const offsets = [0]; // of each character: an entity's offsets count characters, as Python does
  for (const character of text) offsets.push(offsets.at(-1) + character.length);

  function fill(parent, pieces, start, end) {
    let at = start;
    const rest = pieces.sort(inOrder);
    while (rest.length) {
      const outer = rest.shift();
      const inner = [];
      while (rest.length && rest[0].start < outer.end) inner.push(rest.shift());
      for (const piece of inner) {
        if (piece.end <= outer.end) continue;
        rest.push({ ...piece, start: outer.end, before: true });
        piece.end = outer.end;
        piece.after = true;
      }
      rest.sort(inOrder);
      parent.append(text.slice(offsets[at], offsets[outer.start]));
      const mark = element("mark", { className: hue(outer.label) });
      fill(mark, inner, outer.start, outer.end);
      mark.append("\u00a0", labelled(outer));
      parent.append(mark);
      at = outer.end;
    }
    parent.append(text.slice(offsets[at], offsets[end]));
  }

  const whole = element("div", { className: "text", dir: "auto", tabIndex: 0, role: "region" });
  whole.ariaLabel = "Text with its entities";
  fill(whole, entities.map((each) => ({ ...each })), 0, offsets.length - 1);
  return whole;
}

// Return how many entities there are of each kind: "2 PERSON, 1 GPE".
export function summary(entities) {
  const counts = new Map();
  for (const { label } of entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => `${count} ${label}`).join(", ");
}

function labelled({ label, before, after }) {
  const shown = element("bdi", { className: "label" }, label);
  if (before) shown.prepend("… ", element("span", { className: "unseen" }, "continued: "));
  if (after) shown.append(" …", element("span", { className: "unseen" }, "continues"));
  return shown;
}

// Each kind keeps its colour; the label says what the colour means.
function hue(label) {
  if (!hues.has(label)) hues.set(label, hues.size % HUES);
  return `hue-${hues.get(label)}`;
}

const inOrder = (a, b) => a.start - b.start || b.end - a.end;

// Return how many entities lie upon one another, at most.
function depth(entities) {
  const borders = entities.flatMap(({ start, end }) => [[start, 1], [Math.max(end, start + 0.5), -1]]);
  borders.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let now = 0;
  return borders.reduce((most, [, step]) => Math.max(most, (now += step)), 0);
}
