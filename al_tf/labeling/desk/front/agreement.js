// Second opinions beside the image: how far annotators agree, and what is to be settled.

import { isolated, make, percent, plural } from "./elements.js";

const MOST_CONFUSED = 3;

export class AgreementPanel {
  // settle(): show the disagreements
  constructor(settle) {
    this.facts = make("dl", { class: "altf-facts" });
    this.settle = make("button", { type: "button", class: "altf-button altf-settle", hidden: true });
    this.settle.addEventListener("click", settle);
    this.element = make("section", { class: "altf-panel", hidden: true, aria: { label: "Second opinions" } },
      make("div", { class: "altf-heading" }, make("h3", { textContent: "Second opinions" })), this.facts, this.settle);
  }

  show({ annotator, overlap, agreement, disputed, referee }) {
    this.element.hidden = !overlap && !agreement;
    this.facts.replaceChildren(...agreementRows(annotator, agreement, referee).flatMap(([term, value, title = ""]) =>
      [make("dt", { title }, ...(Array.isArray(term) ? [isolated(term[0]), " or ", isolated(term[1])] : [term])), make("dd", { textContent: value })]));
    this.settle.hidden = !disputed;
    this.settle.textContent = `Settle ${plural(disputed, "disagreement")}`;
  }
}

// What to print of an agreement: [the term, or two classes that are confused; value; explanation]
export function agreementRows(annotator, agreement, referee = true) {
  const rows = [["You are", annotator]];
  if (!referee) return [...rows, ["Agreement", "shown to the referee", "So that second opinions are given without a look at the first"]];
  if (!agreement) return [...rows, ["Images labeled by two", "none yet"]];
  const { same, kappa, kappa_low: low, kappa_high: high, confused } = agreement;
  rows.push(["Same label by both", `${Math.round(same.value * same.n)} of ${same.n}`]);
  if (same.n > 1) rows.push(["Share", `${percent(same.low)} to ${percent(same.high)}`, "95 % interval of the share with the same label"]);
  if (kappa !== null) {
    const interval = low === null ? "" : ` (${low.toFixed(2)} to ${high.toFixed(2)})`;
    rows.push(["Kappa", `${kappa.toFixed(2)}${interval}`, "Fleiss' kappa, with a 95 % interval: 1 is perfect, 0 what chance gives"]);
  }
  for (const [one, other, n] of confused.slice(0, MOST_CONFUSED)) rows.push([[one, other], String(n)]);
  return rows;
}
