// The picture of a result: its member `svg`, and in words its member `alt`.

import { element } from "./elements.js";
import { isObject } from "./json.js";

export const hasPicture = (result) => isObject(result) && typeof result.svg === "string";

// Show a picture in a figure. In an image, an SVG runs no script and loads nothing.
export async function draw(figure, { svg, alt }, signal) {
  const image = element("img", { src: fileOf(svg, "image/svg+xml") });
  image.alt = typeof alt === "string" && alt ? alt : "The result as a picture, without a description";
  const isDrawn = await image.decode().then(() => true, () => false);
  if (!isDrawn || signal.aborted) URL.revokeObjectURL(image.src);
  if (signal.aborted) return;
  clear(figure);
  const wrong = element("p", { className: "muted" }, "The member svg of the result is no picture.");
  figure.append(isDrawn ? image : wrong);
}

// Remove what a figure shows.
export function clear(figure) {
  const image = figure.querySelector("img");
  if (image) URL.revokeObjectURL(image.src);
  figure.replaceChildren();
}

// Return the address of a text, which only this page can open.
export const fileOf = (text, type) => URL.createObjectURL(new Blob([text], { type }));
