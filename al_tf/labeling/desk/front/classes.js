// The classes as buttons with keys, and a box to find one of many.

import { classButtons } from "./buttons.js";
import { make } from "./elements.js";

const MANY = 8; // from here on, their buttons are small
const MOST_WITHOUT_FILTER = 10;

// The name of the class that a key chooses: by what it types, else by the place of a digit, whatever the layout types
export function classOfKey(details, { key, code }) {
  const typed = key.toLowerCase();
  const place = code?.match(/^(?:Digit|Numpad)(\d)$/)?.[1];
  const chosen = details.find((each) => each.key === typed) ?? details.find((each) => each.key && each.key === place);
  return chosen?.name;
}

// Which names have what was typed in them, and the place of the one that is meant: -1 for none
export function narrowed(names, typed) {
  const wanted = typed.trim().toLowerCase();
  const fits = names.map((name) => name.toLowerCase().includes(wanted));
  if (!wanted) return { fits, meant: -1 };
  const whole = names.findIndex((name) => name.toLowerCase() === wanted);
  const starts = names.findIndex((name) => name.toLowerCase().startsWith(wanted));
  return { fits, meant: [whole, starts, fits.indexOf(true)].find((place) => place >= 0) ?? -1 };
}

export class ClassPanel {
  // choose(name): a class was chosen, by key, click or name; leave(): the box gives the keyboard back
  constructor(choose, leave) {
    Object.assign(this, { choose, leave });
    this.names = [];
    this.details = [];
    this.filter = make("input", { class: "altf-filter", type: "search", hidden: true, placeholder: "Type to find a class, Enter to choose (/)", aria: { label: "Find a class" } });
    this.buttons = make("div", { class: "altf-classes", role: "group", aria: { label: "Classes" } });
    this.elements = [this.filter, this.buttons];
    this.filter.addEventListener("input", () => this.narrow());
  }

  show({ classes, classDetails, perClass }) {
    if (JSON.stringify(classDetails) !== JSON.stringify(this.details)) {
      const { disabled } = this;
      this.names = classes;
      this.details = classDetails;
      this.buttons.replaceChildren(...classButtons(classDetails, this.choose));
      this.buttons.classList.toggle("altf-many", classes.length > MANY);
      this.filter.hidden = classes.length <= MOST_WITHOUT_FILTER;
      this.disable(disabled);
      this.narrow();
    }
    perClass.forEach((n, i) => (this.buttons.children[i].lastChild.textContent = n));
  }

  // Mark the class that an image has
  mark(name) {
    [...this.buttons.children].forEach((button, i) => {
      button.classList.toggle("altf-match", this.names[i] === name);
      button.setAttribute("aria-pressed", String(this.names[i] === name));
    });
  }

  // The color of a class; null without one
  colorOf(name) {
    return this.details.find((each) => each.name === name)?.color ?? null;
  }

  disable(disabled) {
    this.disabled = disabled;
    for (const button of this.buttons.children) button.disabled = disabled;
  }

  // What a key does, or undefined
  commandOfKey(event) {
    if (event.key === "/" && !this.filter.hidden) return () => this.filter.focus();
    const name = classOfKey(this.details, event);
    return name === undefined ? undefined : () => this.choose(name);
  }

  filterKey(event) {
    if (event.key === "Escape") {
      this.clearFilter();
      this.leave();
    } else if (event.key === "Enter" && this.match) {
      const name = this.match;
      this.clearFilter();
      this.leave();
      this.choose(name);
    }
  }

  clearFilter() {
    this.filter.value = "";
    this.narrow();
  }

  narrow() {
    const { fits, meant } = narrowed(this.names, this.filter.value);
    this.match = this.names[meant];
    [...this.buttons.children].forEach((button, i) => {
      button.hidden = !fits[i];
      button.classList.toggle("altf-match", i === meant);
    });
  }
}
