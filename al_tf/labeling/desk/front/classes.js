// The classes as buttons with keys, and a box to find one of many.

import { DIGITS, classButtons } from "./buttons.js";
import { make } from "./elements.js";

const MANY = 8; // from here on, their buttons are small

export class ClassPanel {
  // choose(name): a class was chosen, by key, click or name; leave(): the box gives the keyboard back
  constructor(choose, leave) {
    Object.assign(this, { choose, leave });
    this.names = [];
    this.filter = make("input", { class: "altf-filter", type: "search", hidden: true, placeholder: "Type to find a class, Enter to choose (/)", aria: { label: "Find a class" } });
    this.buttons = make("div", { class: "altf-classes", role: "group", aria: { label: "Classes" } });
    this.elements = [this.filter, this.buttons];
    this.filter.addEventListener("input", () => this.narrow());
  }

  show({ classes, perClass }) {
    if (classes.join("\0") !== this.names.join("\0")) {
      this.names = classes;
      this.buttons.replaceChildren(...classButtons(classes, this.choose));
      this.buttons.classList.toggle("altf-many", classes.length > MANY);
      this.filter.hidden = classes.length <= DIGITS.length;
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

  disable(disabled) {
    for (const button of this.buttons.children) button.disabled = disabled;
  }

  // What a key does, or undefined
  commandOfKey(event) {
    const typed = event.key.toLowerCase();
    if (typed === "/" && !this.filter.hidden) return () => this.filter.focus();
    const place = event.code?.match(/^(?:Digit|Numpad)(\d)$/)?.[1]; // whatever the layout types
    const digit = DIGITS.includes(typed) ? typed : place;
    const name = this.names[DIGITS.indexOf(digit)];
    return digit && name !== undefined ? () => this.choose(name) : undefined;
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
    const wanted = this.filter.value.trim().toLowerCase();
    const fits = this.names.map((name) => name.toLowerCase().includes(wanted));
    const starts = this.names.findIndex((name) => name.toLowerCase().startsWith(wanted));
    const first = !wanted ? -1 : starts >= 0 ? starts : fits.indexOf(true);
    this.match = this.names[first];
    [...this.buttons.children].forEach((button, i) => {
      button.hidden = !fits[i];
      button.classList.toggle("altf-match", i === first);
    });
  }
}
