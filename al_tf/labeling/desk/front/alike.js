// Images alike: the nearest without an answer, all ticked; untick the exceptions, label the rest at once.

import { commandButton } from "./buttons.js";
import { ClassPanel } from "./classes.js";
import { isolated, make, plural } from "./elements.js";
import { Grid, fillCell } from "./grid.js";
import { Selection, stepOfKey } from "./selection.js";
import { ThumbnailLoader } from "./thumbnails.js";

const SIZES = [12, 24, 48, 63];
const CELL_WIDTH = 152; // at least, in pixels: a glance must tell the exceptions

export class AlikeView {
  // image: the one that the others are like; open(view, of): go there; leave(did): go back
  constructor(root, ask, open, leave, image) {
    Object.assign(this, { root, ask, open, leave, image });
    this.size = 1;
    this.rows = [];
    this.selection = new Selection();
    this.thumbnails = new ThumbnailLoader(ask, () => this.arrived());
    this.classes = new ClassPanel((name) => this.label(name), () => this.grid.element.focus());
    this.grid = new Grid({
      label: "Images alike; untick the exceptions", fill: (cell, place) => this.fill(cell, place),
      seen: (first, end) => this.thumbnails.want([this.image, ...this.rows.slice(first, end).map((row) => row.image)]),
      choose: (place, event) => this.tick(place, event.shiftKey), leastWidth: CELL_WIDTH,
    });
    this.build();
    this.list();
  }

  build() {
    this.error = make("p", { class: "altf-error", role: "alert", hidden: true });
    this.live = make("p", { class: "altf-live", role: "status" });
    this.count = make("span", { class: "altf-place" });
    this.picture = make("img", { class: "altf-like", alt: "The image that the others are like", hidden: true });
    this.words = make("p", { class: "altf-answer" });
    this.commands = {
      "+": commandButton("+", "More", () => this.resize(1)),
      "-": commandButton("-", "Fewer", () => this.resize(-1), "−"),
      Escape: commandButton("Escape", "Leave", () => this.leave(), "Esc"),
    };
    this.element = make("div", { class: "altf-frame altf-review altf-alike" },
      make("header", { class: "altf-head" }, make("span", { class: "altf-title" }, make("span", { class: "altf-name", textContent: "Images alike" }), this.count)),
      make("div", { class: "altf-choosing altf-reference" }, this.picture, this.words), this.error,
      make("div", { class: "altf-scroll" }, this.grid.element),
      make("div", { class: "altf-actions" }, ...this.classes.elements,
        make("div", { class: "altf-commands", role: "group", aria: { label: "Commands" } }, ...Object.values(this.commands)), this.live));
  }

  close() {
    this.grid.close();
  }

  async list() {
    const reply = await this.waiting({ do: "alike", image: this.image, limit: SIZES[this.size] });
    if (!reply?.alike) return;
    const { image: reference, rows } = reply.alike;
    const takesPart = reference.state === "unlabeled" && reference.purpose === "";
    this.reference = reference;
    this.rows = takesPart ? [reference, ...rows] : rows;
    this.selection.reset(this.rows.length);
    this.selection.chooseAll();
    this.words.replaceChildren("Unlabeled images most like ", isolated(reference.name), reference.label === null ? "" : ", labeled ",
      ...(reference.label === null ? [] : [isolated(reference.label)]), ". Untick what is something else, then choose the class of the rest.");
    this.classes.show(reply.status);
    this.classes.mark(reference.label);
    this.grid.setTotal(this.rows.length);
    this.showCount();
    if (!this.rows.length) this.live.textContent = "No unlabeled image is left that may be labeled here.";
    this.grid.element.focus();
  }

  async label(name) {
    const images = {};
    for (const place of this.selection.places) images[this.rows[place].image] = this.rows[place].event;
    if (!Object.keys(images).length) return;
    const reply = await this.waiting({ do: "change", label: name, images, alike: true });
    if (reply?.did) this.leave(reply.did);
  }

  async waiting(request) {
    if (this.root.getAttribute("aria-busy") === "true" && this.rows.length) return undefined;
    this.root.setAttribute("aria-busy", "true");
    let reply;
    try {
      reply = await this.ask(request);
    } catch (error) {
      reply = { error: error.message };
    }
    this.root.setAttribute("aria-busy", "false");
    this.error.hidden = !reply.error;
    this.error.textContent = reply.error ?? "";
    return reply;
  }

  resize(step) {
    const size = Math.min(Math.max(this.size + step, 0), SIZES.length - 1);
    if (size === this.size) return;
    this.size = size;
    this.list();
  }

  arrived() {
    const url = this.thumbnails.url(this.image);
    if (url) this.picture.src = url;
    this.picture.hidden = !url;
    this.grid.drawSoon();
  }

  fill(cell, place) {
    const row = this.rows[place];
    fillCell(cell, row, row && this.thumbnails.url(row.image), {
      chosen: this.selection.has(place), focused: this.selection.focus === place, total: this.rows.length,
      colorOf: (name) => this.classes.colorOf(name),
    });
  }

  // Tick or untick one; with `range`, all from the last one as that one
  tick(place, range) {
    const { selection } = this;
    if (range) {
      const ticked = selection.has(selection.anchor);
      const [first, last] = [Math.min(selection.anchor, place), Math.max(selection.anchor, place)];
      for (let i = first; i <= last; i++) ticked ? selection.chosen.add(i) : selection.chosen.delete(i);
      selection.focus = place;
    } else selection.choose(place, { toggle: true });
    this.showCount();
    this.grid.show(place);
  }

  showCount() {
    const { size } = this.selection.chosen;
    this.count.textContent = `${size} of ${plural(this.rows.length, "image")} ticked`;
    this.classes.disable(!size);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 || ["Enter", "Escape"].includes(event.key)) event.stopPropagation();
    if (event.target === this.classes.filter) return this.classes.filterKey(event);
    const run = this.commandOfKey(event);
    if (!run) return;
    event.preventDefault();
    run();
  }

  commandOfKey(event) {
    const step = stepOfKey(event.key, this.grid.columns, this.grid.rowsInView, this.rows.length);
    if (step !== undefined) {
      return () => {
        this.selection.move(step, { hold: true });
        this.grid.show(this.selection.focus);
      };
    }
    if (event.repeat) return undefined;
    const onButton = event.target.matches("button");
    if (event.key === " " && !onButton) return () => this.tick(this.selection.focus, false);
    if (event.key === "Enter" && !onButton && this.reference?.label) return () => this.label(this.reference.label);
    if (Object.hasOwn(this.commands, event.key)) return () => this.commands[event.key].click();
    return this.classes.commandOfKey(event);
  }
}
