// Brightness and contrast, as a window of values: what is shown black, and what white.

import { commandButton } from "./buttons.js";
import { make } from "./elements.js";

const STRONGEST = 5; // contrast doubles so many times

// Window of an image whose white is `highest`; brightness and contrast from -100 to 100, 0: as in the file
export function windowOf(brightness, contrast, highest) {
  const width = highest * 2 ** (-STRONGEST * contrast / 100);
  const middle = highest * (0.5 - brightness / 200);
  return { low: middle - width / 2, high: middle + width / 2 };
}

export class TonePanel {
  // changed(): another window; leave(): the keyboard goes back to the desk
  constructor(changed, leave) {
    this.changed = changed;
    this.brightness = this.slider("Brightness");
    this.contrast = this.slider("Contrast");
    this.words = make("span", { class: "altf-window" });
    const reset = make("button", { type: "button", class: "altf-button", textContent: "Reset" });
    reset.addEventListener("click", () => this.set(0, 0));
    this.panel = make("div", { class: "altf-tone", role: "group", aria: { label: "Brightness and contrast" }, hidden: true },
      this.brightness.parentElement, this.contrast.parentElement, this.words, reset);
    this.button = commandButton("b", "Light", () => this.toggle());
    this.button.setAttribute("aria-label", "Brightness and contrast");
    this.button.setAttribute("aria-expanded", "false");
    this.panel.addEventListener("pointerup", leave);
    this.highest = 255;
  }

  slider(name) {
    const input = make("input", { type: "range", min: -100, max: 100, step: 1, value: 0, aria: { label: name } });
    make("label", {}, make("span", { textContent: name }), input);
    input.addEventListener("input", () => this.tell());
    return input;
  }

  toggle() {
    this.panel.hidden = !this.panel.hidden;
    this.button.setAttribute("aria-expanded", !this.panel.hidden);
  }

  set(brightness, contrast) {
    this.brightness.value = brightness;
    this.contrast.value = contrast;
    this.tell();
  }

  show(highest) {
    this.highest = highest;
    const { low, high } = windowOf(this.brightness.valueAsNumber, this.contrast.valueAsNumber, highest);
    const number = (value) => Math.round(value).toLocaleString("en");
    this.words.textContent = `${number(low)} to ${number(high)} of ${number(highest)}`;
  }

  tell() {
    this.show(this.highest);
    this.changed();
  }

  // The window for an image, or nothing where it is shown as it is
  of(highest) {
    const [brightness, contrast] = [this.brightness.valueAsNumber, this.contrast.valueAsNumber];
    return brightness || contrast ? windowOf(brightness, contrast, highest) : {};
  }
}
