// What can be changed about one class: name, description, key, color; merging, separating, removing.

import { swatch } from "./buttons.js";
import { make } from "./elements.js";

// What a form holds that is other than the class has it: the request that saves it, or null
export function changesOf(entry, { name, description, key, color }) {
  const request = { do: "class", change: "edit", name: entry.name };
  if (name !== entry.name) request.to = name;
  if (description !== entry.description) request.description = description;
  if (key !== (entry.has_own_key ? entry.key : "")) request.key = key;
  if (color !== (entry.color ?? "")) request.color = color;
  return Object.keys(request).length > 3 ? request : null;
}

function field(text, properties) {
  const input = make("input", { class: "altf-field", type: "text", autocomplete: "off", spellcheck: false, ...properties });
  return [input, make("label", {}, text, input)];
}

function button(text, run, more = "") {
  const element = make("button", { type: "button", class: `altf-button ${more}`.trim(), textContent: text });
  element.addEventListener("click", run);
  return element;
}

let forms = 0;

export class ClassForm {
  // entry: the class; others: names of the others; count: its answers; send(request): do it; cancel(): close
  constructor(entry, { others, count, colors, send, cancel }) {
    Object.assign(this, { entry, send, cancel });
    const [name, nameLabel] = field("Name", { value: entry.name, maxLength: 200, required: true });
    const [description, descriptionLabel] = field("Description", { value: entry.description, maxLength: 1000, placeholder: "What belongs to it" });
    const [key, keyLabel] = field("Own key", { value: entry.has_own_key ? entry.key : "", maxLength: 1, placeholder: entry.key ?? "none" });
    Object.assign(this, { name, description, key });
    this.colors = make("fieldset", { class: "altf-colors" }, make("legend", { textContent: "Color" }), ...this.colorChoices(["", ...colors]));
    const save = make("button", { type: "submit", class: "altf-button altf-main", textContent: "Save" });
    this.element = make("form", { class: "altf-form", aria: { label: `Class ${entry.name}` } },
      make("div", { class: "altf-fields" }, nameLabel, descriptionLabel, keyLabel), this.colors,
      make("div", { class: "altf-row" }, save, button("Cancel", cancel)),
      this.mergeRow(others, count), ...this.separateRow());
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
  }

  colorChoices(colors) {
    const group = `altf-color-${++forms}`;
    return colors.map((color) => {
      const input = make("input", { type: "radio", name: group, value: color, checked: color === (this.entry.color ?? "") });
      return make("label", {}, input, swatch(color), color || "none");
    });
  }

  mergeRow(others, count) {
    this.into = make("select", { class: "altf-field", aria: { label: `Merge ${this.entry.name} into` } },
      make("option", { value: "", textContent: "Merge into …" }), ...others.map((name) => make("option", { value: name, textContent: name })));
    const merge = button("Merge", () => this.into.value && this.send({ do: "class", change: "merge", name: this.entry.name, into: this.into.value }));
    merge.disabled = true;
    this.into.addEventListener("change", () => (merge.disabled = !this.into.value));
    const remove = button("Remove", () => this.send({ do: "class", change: "remove", name: this.entry.name }));
    remove.hidden = count > 0 || this.entry.merged.length > 0;
    return make("div", { class: "altf-row" }, this.into, merge, remove);
  }

  separateRow() {
    if (!this.entry.merged.length) return [];
    const buttons = this.entry.merged.map((name) => button(`Separate ${name}`, () => this.send({ do: "class", change: "separate", name })));
    return [make("div", { class: "altf-row" }, ...buttons)];
  }

  get values() {
    const color = this.colors.querySelector("input:checked")?.value ?? "";
    return { name: this.name.value.trim(), description: this.description.value.trim(), key: this.key.value.trim().toLowerCase(), color };
  }

  save() {
    const request = changesOf(this.entry, this.values);
    if (request) this.send(request);
    else this.cancel();
  }
}
