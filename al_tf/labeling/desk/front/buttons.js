// Buttons with the key that does the same.

import { isolated, make } from "./elements.js";

export const DIGITS = "1234567890";

// shown: what to print for a key whose name is long
export function commandButton(key, text, run, shown = key) {
  const button = make("button", { type: "button", class: "altf-button", aria: { keyshortcuts: key } });
  button.append(make("kbd", { textContent: shown, aria: { hidden: true } }), make("span", { textContent: text }));
  button.addEventListener("click", run);
  return button;
}

export function classButtons(names, answer) {
  return names.map((name, i) => {
    const key = DIGITS[i] ?? "";
    const button = make("button", { type: "button", class: "altf-button altf-class", title: name });
    if (key) {
      button.setAttribute("aria-keyshortcuts", key);
      button.append(make("kbd", { textContent: key, aria: { hidden: true } }));
    }
    button.append(isolated(name), make("span", { class: "altf-count", aria: { hidden: true } }));
    button.addEventListener("click", () => answer(name));
    return button;
  });
}
