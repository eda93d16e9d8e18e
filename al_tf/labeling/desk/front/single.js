// One image with its answer, to look at and to correct: of one's past answers, or of a list.

import { commandButton } from "./buttons.js";
import { ClassPanel } from "./classes.js";
import { isolated, make } from "./elements.js";
import { Stage, viewer } from "./stage.js";

// The answers that one gave, from the last one back
export class PastAnswers {
  constructor(ask) {
    this.ask = ask;
    this.image = null;
    this.first = -1;
    this.end = "the image that waits";
  }

  async at(step) {
    const reply = step ? await this.ask({ do: "past", image: this.image, step }) : await this.ask({ do: "image", image: this.image });
    const row = step ? reply.past : reply.image && { ...reply.image, place: this.place, of: this.of };
    if (row) Object.assign(this, { image: row.image, place: row.place, of: row.of });
    return { ...reply, row };
  }
}

// The images of a list
export class ListedImages {
  constructor(ask, listing, place) {
    Object.assign(this, { ask, listing, place });
    this.first = 0;
    this.end = "the grid";
  }

  async at(step) {
    const place = Math.max(0, this.place + step);
    if (place >= this.listing.total) return { row: null };
    await this.listing.need(place, place + 1);
    const reply = await this.ask({ do: "image", image: this.listing.rows[place].image });
    this.place = place;
    return { ...reply, row: reply.image && { ...reply.image, place: place + 1, of: this.listing.total } };
  }
}

export class SingleView {
  // images: PastAnswers or ListedImages; open(view, of): go there; leave(did): go back
  constructor(root, ask, open, leave, images) {
    Object.assign(this, { root, ask, open, leave, images });
    this.stage = new Stage({ view: viewer(ask), leave: () => root.focus({ preventScroll: true }) });
    this.classes = new ClassPanel((name) => this.change(name), () => this.root.focus());
    this.build();
    this.go(images.first);
  }

  build() {
    this.name = make("span", { class: "altf-name" });
    this.place = make("span", { class: "altf-place" });
    this.answer = make("p", { class: "altf-answer" });
    this.error = make("p", { class: "altf-error", role: "alert", hidden: true });
    this.live = make("p", { class: "altf-live", role: "status" });
    this.commands = {
      ArrowLeft: commandButton("ArrowLeft", "Back", () => this.go(-1), "←"),
      ArrowRight: commandButton("ArrowRight", "Forward", () => this.go(1), "→"),
      Delete: commandButton("Delete", "Clear", () => this.change(null), "Del"),
      a: commandButton("a", "Alike", () => this.row && this.open("alike", this.row.image)),
      Escape: commandButton("Escape", "Leave", () => this.leave(), "Esc"),
    };
    this.element = make("div", { class: "altf-frame altf-single" },
      make("header", { class: "altf-head" }, make("span", { class: "altf-title" }, this.name, this.place)),
      make("div", { class: "altf-work" }, this.error, this.stage.element, this.answer, ...this.classes.elements,
        make("div", { class: "altf-commands", role: "group", aria: { label: "Commands" } }, ...Object.values(this.commands)), this.live));
  }

  close() {
    this.stage.close();
  }

  resume(did) {
    if (did) this.live.textContent = did;
    this.go(0);
  }

  get busy() {
    return this.root.getAttribute("aria-busy") === "true";
  }

  // Show the image so many steps on; after the last one there is nothing but to leave
  async go(step) {
    const reply = await this.waiting(() => this.images.at(step));
    if (!reply) return;
    if (reply.status) this.status = reply.status;
    if (reply.row) this.show(reply.row);
    else if (!reply.error) this.leave(step > 0 ? undefined : "You have answered no image yet.");
  }

  async change(label) {
    const { row } = this;
    if (!row || this.busy) return;
    const reply = await this.waiting(() => this.ask({ do: "change", label, images: { [row.image]: row.event } }));
    if (reply?.did) {
      this.live.textContent = reply.did;
      await this.go(0);
    }
  }

  async waiting(request) {
    if (this.busy) return undefined;
    this.root.setAttribute("aria-busy", "true");
    let reply;
    try {
      reply = await request();
    } catch (error) {
      reply = { error: error.message };
    }
    this.root.setAttribute("aria-busy", "false");
    this.error.hidden = !reply.error;
    this.error.textContent = reply.error ?? "";
    return reply;
  }

  show(row) {
    this.row = row;
    this.name.textContent = row.name;
    this.name.title = row.name;
    this.place.textContent = `${row.place} of ${row.of}`;
    this.stage.show({ ...row, image: row.picture, id: row.image });
    const who = row.annotator ? `, by ${row.annotator}` : "";
    const words = { labeled: "Labeled ", skipped: "Skipped", unlabeled: "No answer yet" }[row.state];
    const opinions = row.opinions.flatMap(([name, label], i) => [i ? ", " : "", isolated(name), ": ", isolated(label)]);
    if (row.state === "disputed") this.answer.replaceChildren("Choose the class that counts. ", ...opinions);
    else this.answer.replaceChildren(words, ...(row.label === null ? [] : [isolated(row.label)]), who, row.purpose === "audit" ? ", of the audit" : "",
      ...(row.predicted === null || row.predicted === row.label ? [] : ["; the model predicts ", isolated(row.predicted)]));
    if (this.status) this.classes.show(this.status);
    this.classes.mark(row.label);
    this.commands.Delete.disabled = row.state === "unlabeled";
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 || ["Enter", "Backspace", "Delete", "Escape"].includes(event.key)) event.stopPropagation();
    if (event.target === this.classes.filter) return this.classes.filterKey(event);
    const key = { Backspace: "Delete", g: "Escape" }[event.key] ?? event.key;
    const run = Object.hasOwn(this.commands, key) ? () => this.commands[key].click() : this.stage.commandOfKey(event) ?? this.classes.commandOfKey(event);
    if (!run) return;
    event.preventDefault();
    if (!event.repeat || key.startsWith("Arrow")) run();
  }
}
