// The numbers beside the image: progress, advice, files that cannot be shown, estimated accuracy.

import { curveChart } from "./chart.js";
import { count, isolated, make, minutes, percent, plural } from "./elements.js";

export class NumbersPanel {
  constructor() {
    this.facts = make("dl", { class: "altf-facts" });
    this.bar = make("progress", { class: "altf-bar", aria: { label: "Images with an answer" } });
    this.advice = make("p", { class: "altf-advice" });
    this.problems = make("details", { class: "altf-problems", hidden: true });
    this.headline = make("p", { class: "altf-headline", hidden: true });
    this.commonest = make("p", { class: "altf-commonest", hidden: true });
    this.quality = make("table", { class: "altf-quality", hidden: true });
    this.axis = make("div", { class: "altf-axis", role: "group", aria: { label: "Horizontal axis" } },
      this.axisButton("labels"), this.axisButton("minutes"));
    this.curve = make("div", { class: "altf-curve" });
    this.over = "labels"; // what the curve is drawn over
    const heading = (text, ...more) => make("div", { class: "altf-heading" }, make("h3", { textContent: text }), ...more);
    this.elements = [
      make("section", { class: "altf-panel" }, heading("Progress"), this.bar, this.facts, this.advice, this.problems),
      make("section", { class: "altf-panel" }, heading("Estimated accuracy", this.axis), this.headline, this.commonest, this.curve, this.quality),
    ];
  }

  show(status) {
    this.status = status;
    this.bar.max = status.images;
    this.bar.value = status.images - status.remaining;
    this.facts.replaceChildren(...factRows(status));
    this.advice.dataset.stop = status.advice.stop;
    this.advice.textContent = `${status.advice.stop ? "You may stop." : "Go on."} ${status.advice.reason}`;
    this.showProblems(status);
    this.showCurve();
    this.showQuality(status);
  }

  showProblems(status) {
    this.problems.hidden = !status.unreadable;
    const more = status.unreadable - status.problems.length;
    this.problems.replaceChildren(
      make("summary", { textContent: `${plural(status.unreadable, "file")} cannot be shown` }),
      ...status.problems.map((text) => make("p", { textContent: text })),
      ...(more > 0 ? [make("p", { textContent: `… and ${more} more.` })] : []),
    );
  }

  showCurve() {
    const { accuracy, curve } = this.status;
    this.headline.hidden = !accuracy;
    if (accuracy) {
      const { value, low, high, n } = accuracy;
      this.headline.replaceChildren(
        make("strong", { textContent: percent(value) }),
        make("span", { textContent: `${percent(low)} to ${percent(high)}, ${plural(n, "random image")}` }),
      );
    }
    this.axis.hidden = !curve.length;
    for (const button of this.axis.children) button.setAttribute("aria-pressed", button.value === this.over);
    if (curve.length) this.curve.replaceChildren(curveChart(curve, this.over));
    else this.curve.textContent = "Begins with the first model and the first labeled image that was drawn at random.";
  }

  // Recall and precision of each class, beside what always the commonest class would reach
  showQuality({ commonest, quality }) {
    this.commonest.hidden = this.quality.hidden = !commonest;
    if (!commonest) return;
    this.commonest.replaceChildren("Always ", isolated(commonest.label), `: ${percent(commonest.accuracy.value)}`);
    const cells = (tag, ...texts) => make("tr", {}, ...texts.map((text) => make(tag, {}, text)));
    this.quality.replaceChildren(
      make("thead", {}, cells("th", "Class", "Recall", "Precision")),
      make("tbody", {}, ...quality.map(({ label, recall, precision }) =>
        make("tr", {}, make("th", { scope: "row" }, isolated(label)), estimateCell(recall), estimateCell(precision)))),
    );
  }

  axisButton(over) {
    const button = make("button", { type: "button", value: over, textContent: over });
    button.addEventListener("click", () => {
      this.over = over;
      this.showCurve();
    });
    return button;
  }
}

function estimateCell(estimate) {
  if (!estimate) return make("td", { textContent: "–" });
  const { value, low, high, n } = estimate;
  return make("td", {}, `${Math.round(value * n)} of ${n}`, make("small", { textContent: `${percent(low)} to ${percent(high)}` }));
}

function factRows(status) {
  const rows = [["Labels", `${status.labels} of ${status.images}`]];
  if (status.unread) rows.push(["Files read", `${count(status.files - status.unread)} of ${count(status.files)}`]);
  if (status.skipped) rows.push(["Skipped", String(status.skipped)]);
  rows.push(["Time", `${minutes(status.minutes)} min`]);
  if (status.labels) {
    const each = status.minutes / status.labels;
    rows.push(["For each label", `${(60 * each).toFixed(1)} s`], ["The rest would take", `${minutes(each * (status.remaining + status.unread))} min`]);
  }
  if (status.myLabels !== status.labels) {
    rows.push([`By ${status.annotator}`, `${plural(status.myLabels, "label")}, ${minutes(status.myMinutes)} min`]);
  }
  if (status.selfAgreement) {
    const { value, n } = status.selfAgreement;
    rows.push(["Same answer on repeats", `${Math.round(value * n)} of ${n}`]);
  }
  return rows.flatMap(([term, value]) => [make("dt", { textContent: term }), make("dd", {}, value)]);
}
