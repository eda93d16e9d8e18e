// Buttons with the key that does the same.

import { isolated, make } from "./elements.js";

// shown: what to print for a key whose name is long
export function commandButton(key, text, run, shown = key) {
  const button = make("button", { type: "button", class: "altf-button", aria: { keyshortcuts: key } });
  button.append(make("kbd", { textContent: shown, aria: { hidden: true } }), make("span", { textContent: text }));
  button.addEventListener("click", run);
  return button;
}

// The mark of a class in its color; its name stands beside it
export function swatch(color) {
  const mark = make("span", { class: "altf-swatch", aria: { hidden: true } });
  mark.dataset.color = color ?? "";
  return mark;
}

// details: of each class, its name, key, color and description
export function classButtons(details, answer) {
  return details.map(({ name, key, color, description }) => {
    const title = description ? `${name}: ${description}` : name;
    const button = make("button", { type: "button", class: "altf-button altf-class", title });
    if (key) {
      button.setAttribute("aria-keyshortcuts", key);
      button.append(make("kbd", { textContent: key, aria: { hidden: true } }));
    }
    if (color) button.append(swatch(color));
    const text = isolated(name);
    text.title = title;
    button.append(text, make("span", { class: "altf-count", aria: { hidden: true } }));
    button.addEventListener("click", () => answer(name));
    return button;
  });
}
