// The result of a run, or the best one so far: its picture if it has one, and its JSON.

import { code } from "./answer.js";
import { element, find } from "./elements.js";
import { parse, pretty } from "./json.js";
import { clear, draw, fileOf, hasPicture } from "./picture.js";
import { ask } from "./server.js";

// A result may be large. Do not spend more than a tenth of the time on asking for it.
const REST = 10;
const LEAST_MS = 500;

let seen = null; // what is shown
let next = 0; // when to ask again

// Show no result.
export function forget() {
  seen = null;
  next = 0;
  find("outcome").hidden = true;
  clear(find("figure"));
}

// Show the result of a run at a path, if it is time to ask; return whether all of it is known.
export async function showResult(path, run, signal) {
  const start = performance.now();
  if (start < next && !run.ended) return false;
  let response;
  let text;
  try {
    response = await ask(`${path}/latest`, { signal });
    text = await response.text();
  } catch {
    return false;
  }
  const end = performance.now();
  next = end + Math.max(LEAST_MS, (end - start) * REST);
  if (signal.aborted) return true;
  if (!response.ok) return Boolean(run.ended) && [404, 409].includes(response.status);
  if (seen !== `${run.ended} ${text}`) {
    await show(run, parse(text), signal);
    seen = `${run.ended} ${text}`;
  }
  return Boolean(run.ended);
}

async function show(run, { final, result }, signal) {
  const figure = find("figure");
  const isPicture = hasPicture(result);
  if (isPicture) await draw(figure, result, signal);
  if (signal.aborted) return;
  if (!isPicture) clear(figure);
  const best = run.ended ? "Best result before the end" : "Best result so far";
  find("outcome-title").textContent = final ? "Result" : best;
  const name = `${run.job}-${run.id.slice(0, 8)}`;
  const saves = [save("Save the JSON", pretty(result), "application/json", `${name}.json`)];
  if (isPicture) saves.unshift(save("Save the picture", result.svg, "image/svg+xml", `${name}.svg`));
  find("saves").replaceChildren(...saves);
  find("json").open ||= !isPicture;
  find("json").lastElementChild.replaceChildren(code(result));
  find("outcome").hidden = false;
}

function save(text, content, type, download) {
  return element("button", { type: "button", className: "quiet", onclick: () => {
    const link = element("a", { href: fileOf(content, type), download });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } }, text);
}
