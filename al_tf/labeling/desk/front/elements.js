// Making elements. Names of files and classes are only ever text (textContent), never markup.

const SVG = "http://www.w3.org/2000/svg";

export function make(tag, properties = {}, ...children) {
  const { class: name, role, aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  if (name) element.className = name;
  if (role) element.setAttribute("role", role);
  for (const [key, value] of Object.entries(aria)) element.setAttribute(`aria-${key}`, value);
  element.append(...children);
  return element;
}

export function draw(tag, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

export function isolated(text, tag = "bdi") {
  return make(tag, { textContent: text, title: text });
}

export const percent = (x) => `${Math.round(100 * x)} %`;
export const count = (n) => n.toLocaleString("en");
export const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
export const minutes = (x) => (x < 10 ? x.toFixed(1) : Math.round(x).toString());
