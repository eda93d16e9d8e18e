// The parts of the desk that are made anew with each reply, from plain values.

import { draw, isolated, make, minutes, percent, plural } from "./elements.js";

export const DIGITS = "1234567890";

export function commandButton(key, text, run) {
  const button = make("button", { type: "button", class: "altf-button", aria: { keyshortcuts: key } });
  button.append(make("kbd", { textContent: key, aria: { hidden: true } }), make("span", { textContent: text }));
  button.addEventListener("click", run);
  return button;
}

export function classButtons(names, answer) {
  return names.map((name, i) => {
    const key = DIGITS[i] ?? "";
    const button = make("button", { type: "button", class: "altf-button altf-class", title: name });
    if (key) {
      button.setAttribute("aria-keyshortcuts", key);
      button.append(make("kbd", { textContent: key, aria: { hidden: true } }));
    }
    button.append(isolated(name), make("span", { class: "altf-count", aria: { hidden: true } }));
    button.addEventListener("click", () => answer(name));
    return button;
  });
}

export function predictionRows(predictions) {
  return predictions.slice(0, 6).map(({ label, probability }) => {
    const bar = make("span", { class: "altf-bar" }, make("span"));
    bar.firstChild.style.width = `${100 * probability}%`;
    return make("li", {}, isolated(label), bar, make("span", { class: "altf-number", textContent: percent(probability) }));
  });
}

export function neighbourCards(neighbours) {
  return neighbours.map(({ image, name, label }) =>
    make("figure", { title: name },
      make("img", { src: image, alt: name }),
      make("figcaption", {}, isolated(label))));
}

export function facts(rows) {
  return rows.flatMap(([term, ...values]) => [make("dt", { textContent: term }), make("dd", {}, ...values)]);
}

export const TRAINING = {
  none: () => "No model yet",
  embedding: (t, images) => `Looking at the images: ${t.embedded} of ${images}`,
  running: (t) => (t.round ? `Training model ${t.round + 1} …` : "Training the first model …"),
  ready: (t) => `Model ${t.round}, from ${plural(t.labels, "label")}`,
  failed: () => "Training failed",
};

// The curve: estimated accuracy with its interval, over labels or minutes.
export function curveChart(points, over) {
  const [w, h, left, right, top, bottom] = [320, 122, 42, 12, 8, 28];
  const most = Math.max(...points.map((p) => p[over]), 1e-9);
  const x = (value) => left + (value / most) * (w - left - right);
  const y = (share) => top + (1 - share) * (h - top - bottom);
  const line = (key) => points.map((p) => `${x(p[over]).toFixed(1)},${y(p[key]).toFixed(1)}`);
  const first = points[0];
  const last = points[points.length - 1];
  const svg = draw("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", class: "altf-chart" });
  const words = (p) => `${percent(p.accuracy)} at ${over === "labels" ? plural(p.labels, "label") : `${minutes(p.minutes)} minutes`}`;
  svg.setAttribute("aria-label", `Estimated accuracy after ${plural(points.length, "training")}: from ${words(first)} to ${words(last)}.`);
  for (const share of [0, 0.5, 1]) {
    svg.append(
      draw("line", { x1: left, x2: w - right, y1: y(share), y2: y(share), class: "altf-grid" }),
      draw("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
    );
  }
  svg.append(
    draw("text", { x: left, y: h - 12, "text-anchor": "middle" }, "0"),
    draw("text", { x: w - right, y: h - 12, "text-anchor": "end" }, over === "labels" ? String(most) : minutes(most)),
    draw("text", { x: (left + w - right) / 2, y: h - 2, "text-anchor": "middle" }, over === "labels" ? "labels trained on" : "minutes of labeling"),
    draw("polygon", { points: [...line("high"), ...line("low").reverse()].join(" "), class: "altf-band" }),
    draw("polyline", { points: line("accuracy").join(" "), class: "altf-line" }),
  );
  for (const p of points) {
    svg.append(draw("line", { x1: x(p[over]), x2: x(p[over]), y1: y(p.low), y2: y(p.high), class: "altf-whisker" }));
    svg.append(draw("circle", { cx: x(p[over]), cy: y(p.accuracy), r: 3, class: "altf-point" }));
  }
  return svg;
}
