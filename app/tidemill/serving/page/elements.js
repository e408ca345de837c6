// Elements of the page. Whatever comes from a server becomes text, never markup.

export const find = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Say something to those who do not see the page.
export function say(text) {
  find("live").textContent = text;
}
