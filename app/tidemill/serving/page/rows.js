// A table for a list of objects: a row for each, which can be added and removed.

import { Misfit } from "./controls.js";
import { element } from "./elements.js";
import { members, titleOf } from "./fields.js";

export function rows({ schema, value, place, isRequired }) {
  if (value !== undefined && !Array.isArray(value)) throw new Misfit(place.join("."));
  const title = titleOf(schema, place.at(-1));
  const one = titleOf(schema.items, title);
  const columns = Object.entries(schema.items.properties);
  const body = element("tbody");
  const add = element("button", { type: "button", className: "small" }, "Add a row");
  let all = [];

  function append(item) {
    const made = members({ schema: schema.items, value: item, place: [...place, all.length] });
    const remove = element("button", { type: "button", className: "quiet" }, "Remove");
    const cells = made.fields.map(({ node, title: heading }) => {
      const cell = element("td", {}, node);
      cell.dataset.title = heading;
      return cell;
    });
    const row = { ...made, remove, node: element("tr", {}, ...cells, element("td", {}, remove)) };
    remove.addEventListener("click", () => {
      const next = all[all.indexOf(row) + 1]?.remove ?? add;
      all = all.filter((each) => each !== row);
      row.node.remove();
      number();
      next.focus();
      changed();
    });
    all.push(row);
    body.append(row.node);
  }

  // Name the fields of each row by its number.
  function number() {
    all.forEach(({ fields, remove }, index) => {
      const name = `${one} ${index + 1}`;
      for (const { control, title: heading, note } of fields) {
        control.ariaLabel = `${name}: ${heading}`;
        control.title = note ?? "";
      }
      remove.ariaLabel = `Remove ${name}`;
    });
  }

  const changed = () => body.dispatchEvent(new Event("input", { bubbles: true }));
  add.addEventListener("click", () => {
    append(undefined);
    number();
    all.at(-1).fields[0]?.control.focus();
    changed();
  });
  const empty = Array.from({ length: schema.minItems ? 1 : 0 }, () => undefined);
  (value ?? empty).forEach(append);
  number();

  const headings = columns.map(([name, { description, ...column }]) => {
    const heading = element("th", { scope: "col" }, titleOf(column, name));
    if (description) heading.append(element("span", { className: "muted" }, description));
    return heading;
  });
  const head = element("thead", {}, element("tr", {}, ...headings, element("td")));
  const legend = element("legend", {}, title);
  const node = element("fieldset", { className: "table" }, legend);
  if (schema.description) node.append(element("p", { className: "muted" }, schema.description));
  node.append(element("table", {}, head, body), add);
  return {
    node,
    text: () => {
      const isLeftOut = !all.length && !isRequired && !schema.default?.length;
      return isLeftOut ? "" : `[${all.map(({ text }) => text()).join(", ")}]`;
    },
    find: ([index, ...rest]) => all[index]?.find(rest) ?? null,
  };
}
