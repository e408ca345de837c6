// Choose one of many models: type a part of a name, or move through the list.

import { element, find } from "./elements.js";

// More would make typing slow; to find the others, type more.
const MAX_LISTED = 200;

// Return what sets the models, and what chooses one. Call `onChoice` if a person chooses one.
export function chooser(onChoice) {
  const field = find("model");
  const list = find("models");
  let models = [];
  let found = [];
  let chosen = null;
  let active = -1;

  const isOpen = () => !list.hidden;

  function open(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    found = models.filter(({ text }) => words.every((word) => text.includes(word)));
    list.replaceChildren(...found.slice(0, MAX_LISTED).map(({ model }, index) => {
      const name = element("span", { className: "name" }, model.name);
      const option = element("li", { id: `model-${index}` }, name, " ",
        element("span", { className: "muted" }, model.ids));
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(model === chosen));
      return option;
    }));
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(isOpen()));
    const own = found.findIndex(({ model }) => model === chosen);
    move(words.length || own < 0 || own >= MAX_LISTED ? 0 : own);
    count(words.length);
  }

  function close() {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
    field.value = chosen?.name ?? "";
    count(false);
  }

  function count(isFiltered) {
    const all = models.length === 1 ? "1 model" : `${models.length} models`;
    const listed = found.length > MAX_LISTED ? `, the first ${MAX_LISTED} are listed` : "";
    find("count").textContent = isFiltered ? `${found.length} of ${all}${listed}` : all;
  }

  function move(index) {
    list.children[active]?.classList.remove("active");
    const option = list.children[index];
    active = option ? index : -1;
    if (!option) return field.removeAttribute("aria-activedescendant");
    option.classList.add("active");
    option.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", option.id);
  }

  function take(index) {
    const model = found[index]?.model;
    if (!model) return;
    choose(model);
    onChoice(model);
  }

  function choose(model) {
    chosen = model;
    close();
  }

  const keys = {
    ArrowDown: () => (isOpen() ? move((active + 1) % list.children.length) : open("")),
    ArrowUp: () => isOpen() && move((active || list.children.length) - 1),
    PageDown: () => isOpen() && move(Math.min(active + 8, list.children.length - 1)),
    PageUp: () => isOpen() && move(Math.max(active - 8, 0)),
    Enter: () => isOpen() && take(active),
    Escape: close,
  };
  field.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  field.addEventListener("focus", () => field.select());
  field.addEventListener("click", () => isOpen() || open(""));
  field.addEventListener("input", () => open(field.value));
  field.addEventListener("blur", close);
  // Before the field loses the focus, which would close the list.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) =>
    take([...list.children].indexOf(event.target.closest("li"))));

  return {
    choose,
    set: (all) => {
      models = all.map((model) => ({ model, text: `${model.name} ${model.ids}`.toLowerCase() }));
      close();
    },
  };
}
