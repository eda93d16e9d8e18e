// What the review grid shows: which kind of image, and conditions on it.

import { make } from "./elements.js";

const KINDS = {
  answers: ["Answers", "All labels, the newest first"],
  suspects: ["Suspects", "Labels that a model disputes which has not seen them, the most suspect first"],
  disagreements: ["Disagreements", "Images that two annotators labeled differently: choose the class that counts"],
  audit: ["Audit", "Labels of images drawn at random, to measure the model"],
  skipped: ["Skipped", "Images set aside"],
  unlabeled: ["Unlabeled", "Images without an answer"],
  all: ["All", "Every image"],
};
const ROOM = 620; // pixels of width and of height from which the conditions are open
const TYPING_MS = 250; // after the last letter typed

export class ReviewTools {
  // changed(): another list is wanted
  constructor(changed, kind) {
    this.changed = changed;
    this.kind = kind;
    this.kinds = make("div", { class: "altf-kinds", role: "group", aria: { label: "Show" } }, ...Object.entries(KINDS).map(([kind, [text, title]]) => this.kindButton(kind, text, title)));
    this.label = this.choice("Class", "Any class");
    this.annotator = this.choice("Annotator", "Any annotator");
    this.agreement = this.choice("Model", "Any prediction", [["same", "Model agrees"], ["other", "Model disagrees"]]);
    this.round = this.choice("Round", "Any round");
    this.name = make("input", { type: "search", class: "altf-filter", placeholder: "Part of the name", aria: { label: "Name" }, maxLength: 200 });
    this.name.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(changed, TYPING_MS);
    });
    this.details = make("details", { class: "altf-conditions" }, make("summary", { textContent: "Filter" }),
      make("div", { class: "altf-choices" }, this.label, this.annotator, this.agreement, this.round, this.name));
    this.element = make("div", { class: "altf-choosing" }, this.kinds, this.details);
    requestAnimationFrame(() => (this.details.open = this.element.clientWidth >= ROOM && innerHeight >= ROOM));
    this.showKind();
  }

  get conditions() {
    const round = this.round.value;
    return {
      show: this.kind, label: this.label.value || null, annotator: this.annotator.value || null,
      agreement: this.agreement.value || null, round: round === "" ? null : Number(round), name: this.name.value,
    };
  }

  kindButton(kind, text, title) {
    const button = make("button", { type: "button", class: "altf-button", value: kind, textContent: text, title });
    button.addEventListener("click", () => {
      this.kind = kind;
      this.showKind();
      this.changed();
    });
    return button;
  }

  showKind() {
    for (const button of this.kinds.children) button.setAttribute("aria-pressed", button.value === this.kind);
  }

  choice(label, any, entries = []) {
    const select = make("select", { class: "altf-filter", aria: { label } }, make("option", { value: "", textContent: any }));
    setChoices(select, entries);
    select.addEventListener("change", () => this.changed());
    return select;
  }

  show({ annotators, rounds }) {
    setChoices(this.annotator, annotators.map((name) => [name, name]));
    this.annotator.hidden = annotators.length < 2;
    setChoices(this.round, rounds.map((n) => [String(n), n ? `Chosen with model ${n}` : "Chosen without a model"]));
    this.round.hidden = rounds.length < 2;
  }

  showStatus({ classes, agreement, disputed }) {
    setChoices(this.label, classes.map((name) => [name, name]));
    const button = [...this.kinds.children].find(({ value }) => value === "disagreements");
    button.hidden = !agreement && !disputed && this.kind !== "disagreements";
    button.textContent = disputed ? `${KINDS.disagreements[0]} (${disputed})` : KINDS.disagreements[0];
  }
}

// The first entry, for any, stays; so does the value, while it is among the entries
function setChoices(select, entries) {
  const { value } = select;
  select.replaceChildren(select.firstChild, ...entries.map(([key, text]) => make("option", { value: key, textContent: text })));
  select.value = entries.some(([key]) => key === value) ? value : "";
}
