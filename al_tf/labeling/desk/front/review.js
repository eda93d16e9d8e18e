// The review grid: all images and their answers, to find, correct and clear them.

import { commandButton } from "./buttons.js";
import { ClassPanel } from "./classes.js";
import { make, plural } from "./elements.js";
import { ReviewTools } from "./review_tools.js";
import { Grid, fillCell } from "./grid.js";
import { Listing } from "./listing.js";
import { Selection, stepOfKey } from "./selection.js";
import { ListedImages } from "./single.js";
import { ThumbnailLoader } from "./thumbnails.js";

const MOST_AT_ONCE = 2_000; // images that one change may have

export class ReviewView {
  // root: the desk's element; ask(request) -> Promise of the reply; open(view, of): go there;
  // leave(): go back; kind: of images that are shown first
  constructor(root, ask, open, leave, kind = "answers") {
    Object.assign(this, { root, ask, open, leave });
    this.selection = new Selection();
    this.thumbnails = new ThumbnailLoader(ask, () => this.grid.drawSoon());
    this.tools = new ReviewTools(() => this.list(), kind);
    this.classes = new ClassPanel((name) => this.change(name), () => this.grid.element.focus());
    this.grid = new Grid({
      label: "Images", fill: (cell, place) => this.fill(cell, place), seen: (first, end) => this.seen(first, end),
      choose: (place, event) => this.choose(place, { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey || event.pointerType === "touch" }),
      enter: (place) => this.enter(place),
    });
    this.build();
    this.turn = 0;
    this.list();
  }

  build() {
    this.error = make("p", { class: "altf-error", role: "alert", hidden: true });
    this.live = make("p", { class: "altf-live", role: "status" });
    this.count = make("span", { class: "altf-place" });
    this.empty = make("p", { class: "altf-done", hidden: true });
    this.commands = {
      Delete: commandButton("Delete", "Clear", () => this.change(null), "Del"),
      a: commandButton("a", "Alike", () => this.openAlike()),
      u: commandButton("u", "Undo", () => this.undo()),
      c: commandButton("c", "Classes", () => this.open("classes")),
      g: commandButton("g", "Label", () => this.leave()),
    };
    this.element = make("div", { class: "altf-frame altf-review" },
      make("header", { class: "altf-head" }, make("span", { class: "altf-title" }, make("span", { class: "altf-name", textContent: "All images" }), this.count)),
      this.tools.element, this.error,
      make("div", { class: "altf-scroll" }, this.grid.element, this.empty),
      make("div", { class: "altf-actions" }, ...this.classes.elements,
        make("div", { class: "altf-commands", role: "group", aria: { label: "Commands" } }, ...Object.values(this.commands)), this.live));
  }

  close() {
    this.turn = NaN;
    this.grid.close();
  }

  resume(did) {
    if (did) this.live.textContent = did;
    this.list();
    this.grid.element.focus();
  }

  // Asking ------------------------------------------------------------------------------------

  // Make the list anew; the place and the scroll stay as they are
  async list() {
    const turn = ++this.turn;
    const listing = new Listing(this.ask, this.tools.conditions);
    this.root.setAttribute("aria-busy", "true");
    let reply;
    try {
      reply = await listing.open();
    } catch (error) {
      if (turn === this.turn) this.fail(error);
      return;
    }
    if (turn !== this.turn) return;
    this.listing = listing;
    this.last = reply.review.last;
    this.error.hidden = true;
    this.tools.show(reply.review);
    if (reply.status) this.showStatus(reply.status);
    this.selection.reset(listing.total);
    this.empty.hidden = listing.total > 0;
    this.empty.textContent = "No image fits.";
    this.grid.setTotal(listing.total);
    this.showSelection();
    this.root.setAttribute("aria-busy", "false");
  }

  fail(error) {
    this.error.textContent = error.message;
    this.error.hidden = false;
    this.root.setAttribute("aria-busy", "false");
  }

  async change(label) {
    const places = this.selection.places;
    if (this.root.getAttribute("aria-busy") === "true") return;
    if (!places.length) {
      this.live.textContent = "Select images first: by click, or with the arrow keys.";
      return;
    }
    if (places.length > MOST_AT_ONCE) return this.fail(new Error(`At most ${MOST_AT_ONCE} images can be changed at once; ${places.length} are selected.`));
    try {
      await this.listing.need(places[0], places.at(-1) + 1);
    } catch (error) {
      return this.fail(error);
    }
    const images = {};
    for (const place of places) images[this.listing.rows[place].image] = this.listing.rows[place].event;
    await this.act({ do: "change", label, images });
  }

  async undo() {
    if (this.last) await this.act({ do: "takeback", last: this.last });
    else this.live.textContent = "There is nothing to take back.";
  }

  async act(request) {
    if (this.root.getAttribute("aria-busy") === "true") return;
    this.root.setAttribute("aria-busy", "true");
    let reply;
    try {
      reply = await this.ask(request);
    } catch (error) {
      return this.fail(error);
    }
    if (reply.did) this.live.textContent = reply.did;
    if (reply.status) this.showStatus(reply.status);
    await this.list();
    if (reply.error) this.fail(new Error(reply.error));
  }

  // Showing -----------------------------------------------------------------------------------

  showStatus(status) {
    this.classes.show(status);
    this.tools.showStatus(status);
    this.showSelection();
  }

  fill(cell, place) {
    const row = this.listing?.rows[place];
    const { selection } = this;
    fillCell(cell, row, row && this.thumbnails.url(row.image), {
      chosen: selection.has(place), focused: selection.focus === place, total: selection.total,
      colorOf: (name) => this.classes.colorOf(name),
    });
  }

  seen(first, end) {
    const { listing } = this;
    if (!listing) return;
    const rows = listing.rows.slice(first, end).filter(Boolean);
    this.thumbnails.want(rows.map((row) => row.image));
    if (rows.length < end - first) {
      listing.need(first, end).then(() => listing === this.listing && this.grid.drawSoon(), (error) => this.fail(error));
    }
  }

  showSelection() {
    const { chosen, total } = this.selection;
    this.count.textContent = chosen.size ? `${chosen.size} of ${plural(total, "image")} selected` : plural(total, "image");
    this.classes.disable(!chosen.size);
    this.commands.Delete.disabled = !chosen.size;
    this.commands.a.disabled = !total;
    this.commands.u.disabled = !this.last;
  }

  // What the person does ----------------------------------------------------------------------

  key(event) {
    if (event.altKey || event.metaKey || event.isComposing) return;
    const typing = event.target.matches("input, select");
    if (event.key.length === 1 || ["Enter", "Backspace", "Delete", "Escape"].includes(event.key)) event.stopPropagation();
    if (event.target === this.classes.filter) return this.classes.filterKey(event);
    if (typing) return event.key === "Escape" && this.grid.element.focus();
    const run = this.commandOfKey(event);
    if (!run) return;
    event.preventDefault();
    run();
  }

  commandOfKey(event) {
    const letter = event.key.toLowerCase();
    if (event.ctrlKey) {
      if (letter === "a") return () => this.select(() => this.selection.chooseAll());
      if (letter === " ") return () => this.choose(this.selection.focus, { toggle: true });
    }
    const onButton = event.target.matches("button, summary");
    const step = stepOfKey(event.key, this.grid.columns, this.grid.rowsInView, this.selection.total);
    if (step !== undefined) return () => this.select(() => this.selection.move(step, { extend: event.shiftKey, hold: event.ctrlKey }));
    if (event.ctrlKey || event.repeat) return undefined;
    if (letter === " " && !onButton) return () => this.choose(this.selection.focus, { toggle: true });
    if (event.key === "Enter" && !onButton) return () => this.enter(this.selection.focus);
    if (event.key === "Escape") return () => (this.selection.chosen.size ? this.select(() => this.selection.clear()) : this.leave());
    if (event.key === "Backspace" || event.key === "Delete") return () => this.commands.Delete.click();
    if (Object.hasOwn(this.commands, letter)) return () => this.commands[letter].click();
    return this.classes.commandOfKey(event);
  }

  choose(place, how) {
    this.select(() => this.selection.choose(place, how));
  }

  select(change) {
    change();
    this.showSelection();
    this.grid.show(this.selection.focus);
  }

  enter(place) {
    if (this.listing?.rows[place]) this.open("single", new ListedImages(this.ask, this.listing, place));
  }

  openAlike() {
    const row = this.listing?.rows[this.selection.focus];
    if (row) this.open("alike", row.image);
  }
}
