// The curve: estimated accuracy with its interval, over labels or minutes.

import { draw, minutes, percent, plural } from "./elements.js";

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
