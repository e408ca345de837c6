// The command for a shell that sends the same request as the page.

import { say } from "./elements.js";
import { hasToken, urlOf } from "./server.js";

// Characters that a terminal may act on, or that change the order in which a line is shown.
const INVISIBLE = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

// Return JSON with an escape for each character that nobody sees.
export const visible = (json) => json.replace(INVISIBLE, escape);

// Return the command for a request: GET, or POST of a body.
export function curl(path, body = null) {
  const token = hasToken() ? ' \\\n  -H "Authorization: Bearer $TOKEN"' : "";
  const data = body === null ? "" : ` \\\n  -d ${quote(body)}`;
  return `curl ${quote(urlOf(path))}${token}${data}`;
}

// Let a button copy the text of an element.
export function copies(button, code) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch { // without HTTPS, there is no clipboard
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    say("Copied");
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

const quote = (word) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

const escape = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
