// Why this image: what chose it, what the model predicts, the nearest labeled images.

import { isolated, make, percent } from "./elements.js";

const MOST_PREDICTIONS = 6;

export class WhyPanel {
  constructor() {
    this.reason = make("p", { class: "altf-reason" });
    this.predictions = make("ol", { class: "altf-predictions", aria: { label: "What the model predicts" } });
    this.neighbours = make("div", { class: "altf-neighbours" });
    const heading = make("div", { class: "altf-heading" }, make("h3", { textContent: "Why this image" }));
    this.element = make("section", { class: "altf-panel altf-why", aria: { label: "Why this image" } },
      heading, this.reason, this.predictions, this.neighbours);
    this.isOpen = true;
    this.item = null;
  }

  toggle() {
    this.isOpen = !this.isOpen;
    this.element.hidden = !this.isOpen || !this.item;
    return this.isOpen;
  }

  show(item) {
    this.item = item;
    this.element.hidden = !this.isOpen || !item;
    this.reason.textContent = item?.why ?? "";
    this.predictions.replaceChildren(...predictionRows(item?.predictions ?? []));
    this.neighbours.replaceChildren();
    if (item?.neighbours.length) {
      this.neighbours.append(make("h4", { textContent: "Nearest labeled images" }),
        make("div", { class: "altf-cards" }, ...neighbourCards(item.neighbours)));
    }
  }
}

function predictionRows(predictions) {
  return predictions.slice(0, MOST_PREDICTIONS).map(({ label, probability }) => {
    const bar = make("span", { class: "altf-bar" }, make("span"));
    bar.firstChild.style.width = `${100 * probability}%`;
    return make("li", {}, isolated(label), bar, make("span", { class: "altf-number", textContent: percent(probability) }));
  });
}

function neighbourCards(neighbours) {
  return neighbours.map(({ image, name, label }) => {
    const card = make("button", { type: "button", class: "altf-card", title: name, aria: { pressed: "false", label: `${name}, labeled ${label}: larger` } },
      make("img", { src: image, alt: "" }), isolated(label, "span"));
    card.addEventListener("click", () => card.setAttribute("aria-pressed", card.getAttribute("aria-pressed") === "false"));
    return card;
  });
}
