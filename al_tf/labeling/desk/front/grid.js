// A grid of thumbnails that draws only the rows in view, however many there are.

import { swatch } from "./buttons.js";
import { isolated, make } from "./elements.js";

const LEAST_WIDTH = 124;
const NARROW = 480; // width of a grid whose cells may be as much smaller
const CLOSER = 0.85;
const CAPTION = 44; // height below the picture
const ROWS_AHEAD = 2; // rows drawn beyond those in view
let grids = 0;

// The places to draw, of `total`, in a grid scrolled so far: [first, end)
export function placesInView({ top, height, rowHeight, columns, total }) {
  const first = Math.max(0, Math.floor(top / rowHeight) - ROWS_AHEAD) * columns;
  const end = Math.min(total, (Math.ceil((top + height) / rowHeight) + ROWS_AHEAD) * columns);
  return [Math.min(first, total), Math.max(end, 0)];
}

export class Grid {
  // label: of the list, for screen readers; fill(cell, place); seen(first, end): these are drawn;
  // choose(place, event): clicked; enter(place): double-clicked; leastWidth: of a cell, in pixels
  constructor({ label, fill, seen, choose, enter, leastWidth = LEAST_WIDTH }) {
    Object.assign(this, { fill, seen, enter, leastWidth, total: 0, columns: 1, width: leastWidth });
    this.number = ++grids;
    this.cells = new Map(); // place -> element
    this.sheet = make("div", { class: "altf-sheet", role: "presentation" });
    this.element = make("div", { class: "altf-cells", role: "listbox", tabIndex: 0, aria: { label, multiselectable: "true" } }, this.sheet);
    this.element.addEventListener("scroll", () => this.drawSoon());
    const place = (event) => Number(event.target.closest(".altf-cell")?.dataset.place ?? NaN);
    this.sheet.addEventListener("click", (event) => place(event) >= 0 && choose(place(event), event));
    this.sheet.addEventListener("dblclick", (event) => place(event) >= 0 && this.enter?.(place(event)));
    this.sheet.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault()); // selects no text
    this.observer = new ResizeObserver(() => this.layOut());
    this.observer.observe(this.element);
  }

  get rowHeight() {
    return this.width + CAPTION;
  }

  get rowsInView() {
    return Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight));
  }

  setTotal(total) {
    this.total = total;
    this.layOut();
  }

  layOut() {
    const inner = this.element.clientWidth;
    if (!inner) return; // not on the screen
    const least = this.leastWidth * (inner < NARROW ? CLOSER : 1);
    this.columns = Math.max(1, Math.floor(inner / least));
    this.width = Math.floor(inner / this.columns);
    this.sheet.style.height = `${Math.ceil(this.total / this.columns) * this.rowHeight}px`;
    this.draw();
  }

  drawSoon() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    const { scrollTop: top, clientHeight: height } = this.element;
    const [first, end] = placesInView({ top, height, rowHeight: this.rowHeight, columns: this.columns, total: this.total });
    for (const [place, cell] of this.cells) {
      if (place >= first && place < end) continue;
      cell.remove();
      this.cells.delete(place);
    }
    for (let place = first; place < end; place++) {
      const cell = this.cells.get(place) ?? this.newCell(place);
      cell.style.width = `${this.width}px`;
      cell.style.height = `${this.rowHeight}px`;
      cell.style.transform = `translate(${(place % this.columns) * this.width}px, ${Math.floor(place / this.columns) * this.rowHeight}px)`;
      this.fill(cell, place);
    }
    this.seen(first, end);
  }

  newCell(place) {
    const cell = make("div", { class: "altf-cell", role: "option", id: `altf-cell-${this.number}-${place}` },
      make("span", { class: "altf-picture" }, make("img", { alt: "", draggable: false, hidden: true })), make("span", { class: "altf-caption" }));
    cell.dataset.place = place;
    cell.setAttribute("aria-posinset", place + 1);
    this.cells.set(place, cell);
    this.sheet.append(cell);
    return cell;
  }

  // Bring a place into view, and say to screen readers that the keys are there
  show(place) {
    if (!this.total) return;
    const top = Math.floor(place / this.columns) * this.rowHeight;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) this.element.scrollTop = top + this.rowHeight - clientHeight;
    this.draw();
    this.element.setAttribute("aria-activedescendant", `altf-cell-${this.number}-${place}`);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }
}

// Put an image and its answer into a cell; colorOf(name): the color of a class, if it has one
export function fillCell(cell, row, url, { chosen, focused, total, colorOf }) {
  const picture = cell.querySelector("img");
  const caption = cell.lastChild;
  cell.setAttribute("aria-selected", chosen);
  cell.setAttribute("aria-setsize", total);
  cell.classList.toggle("altf-here", focused);
  const names = row ? [row.label, row.predicted, ...row.opinions.map(([, label]) => label)] : [];
  const key = row ? JSON.stringify([row.image, row.event, row.state, ...names, ...names.map(colorOf)]) : "";
  if (cell.dataset.key !== key) {
    cell.dataset.key = key;
    caption.replaceChildren(...(row ? captionOf(row, colorOf) : []));
    cell.title = row?.name ?? "";
    picture.hidden = true;
    picture.removeAttribute("src");
  }
  if (row && url && picture.getAttribute("src") !== url) {
    picture.src = url;
    picture.alt = row.name;
    picture.hidden = false;
  }
  cell.classList.toggle("altf-gone", url === null);
}

function captionOf(row, colorOf) {
  const named = (name) => [...(colorOf(name) ? [swatch(colorOf(name))] : []), isolated(name)];
  if (row.opinions.length) return row.opinions.map(([who, label]) => make("span", { class: "altf-opinion", title: `${who}: ${label}` }, make("span", {}, ...named(label)), make("small", {}, isolated(who))));
  const words = row.label === null ? [make("span", { class: "altf-none", textContent: row.state })] : named(row.label);
  const marks = [];
  if (row.purpose === "audit") marks.push(make("span", { class: "altf-mark", textContent: "audit", title: "Drawn at random, to measure the model: it is not asked about this image." }));
  if (row.predicted !== null && row.predicted !== row.label) {
    marks.push(make("span", { class: row.label === null ? "altf-guess" : "altf-guess altf-other", title: `The model predicts ${row.predicted}` }, "model: ", ...named(row.predicted)));
  }
  return [make("span", { class: "altf-word" }, ...words), make("span", { class: "altf-marks" }, ...marks)];
}
