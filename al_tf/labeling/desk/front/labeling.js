// The main view: one image at a time. It keeps no state of its own: every reply says how things stand.

import { AgreementPanel } from "./agreement.js";
import { Ahead } from "./ahead.js";
import { commandButton } from "./buttons.js";
import { ClassPanel } from "./classes.js";
import { count, make, percent, plural } from "./elements.js";
import { NumbersPanel } from "./numbers.js";
import { Stage, viewer } from "./stage.js";
import { WhyPanel } from "./why.js";

const BOUNCE_MS = 40; // nobody presses a key twice sooner
const CLICK_BOUNCE_MS = 250; // of a double click
const LOOK_MS = 250; // that an image is shown before an answer that waited for it counts
const POLL_MS = 1_000;
const IDLE_POLL_MS = 10_000; // while nothing is left: what others label may need a second opinion
const BUSY_STATES = ["loading", "embedding", "running"];
const TRAINING = {
  none: () => "No model yet",
  loading: () => "Loading the last model …",
  embedding: (t, images) => `Looking at the images: ${count(t.embedded)} of ${count(images)}`,
  running: (t) => (t.round ? `Training model ${t.round + 1} …` : "Training the first model …"),
  ready: (t) => `Model ${t.round}, from ${plural(t.labels, "label")}`,
  failed: () => "Training failed",
};

export class LabelingView {
  // root: the desk's element; ask(request) -> Promise of the reply; open(view, of): go to another view
  constructor(root, ask, open) {
    Object.assign(this, { root, ask, open });
    this.item = null;
    this.requests = []; // { request, item it was made at }: the first is on its way
    this.afterwards = undefined; // what to do when none is left
    this.waiting = []; // answers for images that are not on the screen yet
    this.turn = 0; // of the newest request; quiet replies to older ones are dropped
    this.shownAt = Infinity; // until an image is on the screen
    this.build();
    this.ahead = new Ahead(ask, (item) => this.stage.load(item), (n) => (this.root.dataset.ahead = n));
    this.onVisible = () => document.hidden || this.element.hidden || this.requests.length || this.send({ do: "look" });
    document.addEventListener("visibilitychange", this.onVisible);
    this.send({ do: "look" });
  }

  build() {
    const part = (tag, name, properties = {}) => (this[name] = make(tag, { class: `altf-${name}`, ...properties }));
    part("span", "name");
    part("span", "place");
    part("span", "pill");
    part("p", "error", { role: "alert", hidden: true });
    part("p", "live", { role: "status" });
    part("p", "queued", { hidden: true, aria: { live: "polite" } });
    part("p", "unseen", { aria: { live: "polite" } });
    this.stage = new Stage({
      view: viewer(this.ask),
      painted: () => this.imageShown(),
      relit: () => this.ahead.reload(),
      hasKeys: () => this.root.classList.contains("altf-page") || this.root.contains(document.activeElement),
      leave: () => this.root.focus({ preventScroll: true }),
    });
    this.classes = new ClassPanel((name) => this.answer(name), () => this.root.focus());
    this.why = new WhyPanel();
    this.numbers = new NumbersPanel();
    this.agreement = new AgreementPanel(() => this.goTo("review", "disagreements"));
    this.commands = {
      u: commandButton("u", "Undo", () => this.undo()),
      s: commandButton("s", "Skip", () => this.skip()),
      r: commandButton("r", "Retrain", () => this.retrain()),
      w: commandButton("w", "Why", () => this.commands.w.setAttribute("aria-expanded", this.why.toggle())),
    };
    this.commands.w.setAttribute("aria-expanded", "true");
    this.elsewhere = {
      ArrowLeft: commandButton("ArrowLeft", "Past", () => this.goTo("past"), "←"),
      a: commandButton("a", "Alike", () => this.item && this.goTo("alike", this.item.id)),
      g: commandButton("g", "Grid", () => this.goTo("review")),
      c: commandButton("c", "Classes", () => this.goTo("classes")),
    };
    this.element = make("div", { class: "altf-frame" },
      make("header", { class: "altf-head" }, make("span", { class: "altf-title" }, this.name, this.place), this.pill),
      make("div", { class: "altf-work" }, this.error, this.stage.element, ...this.classes.elements,
        make("div", { class: "altf-commands", role: "group", aria: { label: "Commands" } }, ...Object.values(this.commands), ...Object.values(this.elsewhere)),
        make("div", { class: "altf-said" }, this.live, this.queued, this.unseen)),
      make("aside", { class: "altf-side", aria: { label: "About the work" } }, this.why.element, this.agreement.element, ...this.numbers.elements),
    );
    this.element.addEventListener("click", (event) => this.clicked(event), true);
  }

  close() {
    document.removeEventListener("visibilitychange", this.onVisible);
    clearTimeout(this.timer);
    this.closed = true;
    this.stage.close();
  }

  // Go to another view, once all answers have arrived
  goTo(view, of) {
    if (this.requests.length) {
      this.afterwards = () => this.goTo(view, of);
      return;
    }
    clearTimeout(this.timer);
    this.turn += 1; // a status that comes now is not for this view
    this.open(view, of);
  }

  // Come back from another view, where something was done
  resume(did) {
    this.ahead.forget(); // it may be answered by now
    if (Number.isFinite(this.shownAt)) this.shownAt = performance.now(); // the time there is not this image's
    if (did) this.live.textContent = did;
    this.send({ do: "look" });
  }

  // What the person does ----------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 || ["Enter", "Backspace", "Delete"].includes(event.key)) event.stopPropagation();
    if (event.target === this.classes.filter) return this.classes.filterKey(event);
    if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
    if (event.repeat && ["Enter", " "].includes(event.key)) return event.preventDefault(); // held down
    const run = this.stage.commandOfKey(event) ?? this.classes.commandOfKey(event)
      ?? this.commandOfKey(event.key) ?? this.commandOfKey(event.key.toLowerCase());
    if (!run) return;
    event.preventDefault();
    this.byPointer = false;
    if (event.repeat && !event.shiftKey) return;
    this.pressedAt = event.timeStamp;
    try { run(); } finally { this.pressedAt = undefined; }
  }

  // After a click, the keyboard is the desk's again: Space must not answer once more
  clicked(event) {
    this.byPointer = event.detail > 0;
    if (this.byPointer && event.target.closest("button")) this.root.focus({ preventScroll: true });
  }

  commandOfKey(key) {
    if (key === "Escape" && this.waiting.length) return () => this.dropWaiting();
    const commands = { ...this.commands, ...this.elsewhere };
    return Object.hasOwn(commands, key) ? () => commands[key].click() : undefined;
  }

  answer(label) {
    this.give({ do: "label", label });
  }

  skip() {
    this.give({ do: "skip" });
  }

  undo() {
    this.give({ do: "undo" });
  }

  retrain() {
    this.send({ do: "retrain" });
  }

  // An answer to the image on the screen. Without one, as the next is still on its way, it waits.
  give(answer) {
    if (this.isBounce(answer)) return;
    if (!this.item && answer.do !== "undo") return;
    if (Number.isFinite(this.shownAt)) this.apply(answer);
    else this.waiting.push(answer);
    this.tellWaiting();
  }

  isBounce(answer) {
    const at = this.pressedAt ?? performance.now(); // of a key, not when there was time for it
    const words = JSON.stringify(answer);
    const bounced = words === this.last?.words && at - this.last.at < (this.byPointer ? CLICK_BOUNCE_MS : BOUNCE_MS);
    this.last = { words, at };
    return bounced;
  }

  apply(answer) {
    const { item } = this;
    if (answer.do === "undo") {
      this.shownAt = Infinity;
      this.send({ do: "undo", slot: item?.slot ?? null });
      return;
    }
    const seconds = (performance.now() - this.shownAt) / 1000;
    this.ahead.answered.add(item.slot);
    this.send({ ...answer, slot: item.slot, seconds });
    const next = this.ahead.take();
    if (next) this.showItem(next.item, next.picture);
    else this.shownAt = Infinity; // nothing to be answered until the reply
  }

  // Answers that were given before their image could be seen: each image is shown for a moment
  async applyWaiting() {
    if (!this.waiting.length || this.pausing) return;
    this.pausing = true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    this.pausing = false;
    if (this.waiting.length && Number.isFinite(this.shownAt)) this.apply(this.waiting.shift());
    this.tellWaiting();
    if (Number.isFinite(this.shownAt)) this.applyWaiting();
  }

  dropWaiting() {
    const dropped = this.waiting.splice(0).length;
    this.tellWaiting();
    return dropped;
  }

  tellWaiting() {
    const n = this.waiting.length;
    this.root.dataset.waiting = n;
    this.queued.hidden = !n;
    this.queued.textContent = n ? `${plural(n, "answer")} for the next ${n > 1 ? "images" : "image"} (Esc: none)` : "";
    this.stage.element.classList.toggle("altf-late", Boolean(this.item) && !Number.isFinite(this.shownAt));
  }

  // Asking and showing ------------------------------------------------------------------------

  // Requests are sent one after the other; each answer names its image, so that none can hit another.
  send(request) {
    clearTimeout(this.timer);
    this.turn += 1;
    this.requests.push({ request, item: this.item });
    this.root.setAttribute("aria-busy", "true");
    if (this.requests.length === 1) this.work();
  }

  async work() {
    while (this.requests.length) {
      const { request, item } = this.requests[0];
      let reply;
      try {
        reply = await this.ask(request);
      } catch (error) {
        reply = this.unsent(error.message, item);
      }
      if (this.closed) return;
      this.requests.shift();
      this.show(reply, { more: this.requests.length > 0 });
    }
    this.root.setAttribute("aria-busy", "false");
    const { afterwards } = this;
    this.afterwards = undefined;
    afterwards?.();
  }

  // The program did not answer: go back to the image whose answer may be lost
  unsent(text, item) {
    const others = this.requests.splice(1).filter(({ request }) => ["label", "skip"].includes(request.do)).length + this.dropWaiting();
    this.ahead.answered.clear();
    return { error: others ? `${text} ${plural(others, "further answer")} ${others > 1 ? "were" : "was"} not sent.` : text, item: item ?? undefined };
  }

  // A quiet request holds up nothing; any other that is sent meanwhile makes its reply void.
  async lookQuietly(what) {
    const { turn } = this;
    const reply = await this.ask({ do: what }).catch((error) => ({ error: error.message }));
    if (turn === this.turn && !this.closed) this.show(reply, { quiet: true });
  }

  show({ error, did, item, status }, { quiet = false, more = false } = {}) {
    const before = this.status?.training.state;
    const isOtherModel = this.status && status && status.training.round !== this.status.training.round;
    const now = status?.training.state;
    const failure = status?.training.error;
    if (error) this.showError(error, "Look again", { do: "look" });
    else if (failure) this.showError(`The training failed; the labels are safe. ${failure}`, "Train again", { do: "retrain" });
    else if (!quiet && !more) this.error.hidden = true;
    if (did) this.live.textContent = did;
    if (status) this.showStatus(status);
    if (more) return; // what is on the screen is further than this reply
    if (item !== undefined) this.showItem(item);
    if (isOtherModel && this.item) this.ahead.fill(this.item.slot, true); // what it thinks of them
    if (BUSY_STATES.includes(now) || status?.unread) this.timer = setTimeout(() => this.lookQuietly("status"), POLL_MS);
    else if (!this.item && this.status?.overlap) this.timer = setTimeout(() => this.lookQuietly("look"), IDLE_POLL_MS);
    else if (quiet && now && BUSY_STATES.includes(before)) this.lookQuietly("look"); // what the new model predicts
  }

  showError(text, remedy, request) {
    const button = make("button", { type: "button", class: "altf-button", textContent: remedy });
    button.addEventListener("click", () => this.send(request));
    this.error.replaceChildren(make("span", { textContent: text }), button);
    this.error.hidden = false;
  }

  showItem(item, picture) {
    const same = item && this.item && item.slot === this.item.slot && item.image === this.item.image;
    this.item = item;
    this.root.classList.toggle("altf-finished", !item);
    this.classes.disable(!item);
    this.commands.s.disabled = !item;
    this.name.textContent = item ? item.name : "Nothing left to label";
    this.name.title = item ? item.name : "";
    this.place.textContent = item ? `${item.position} of ${item.batch} in this batch` : "";
    this.why.show(item);
    if (!item) this.showEnd();
    else if (!same) {
      this.shownAt = Infinity; // until it has been painted
      this.stage.show(item, picture);
    } else if (!Number.isFinite(this.shownAt)) this.imageShown();
    else this.ahead.fill(item.slot);
  }

  showEnd() {
    this.root.dataset.slot = "";
    this.shownAt = performance.now();
    this.stage.showEnd(this.status?.remaining);
    const dropped = this.dropWaiting();
    if (dropped) this.live.textContent = `Nothing is left for ${plural(dropped, "answer")} that waited.`;
    this.unseen.textContent = "Nothing left to label";
  }

  imageShown() {
    this.shownAt = performance.now();
    this.root.dataset.slot = this.item?.slot ?? "";
    this.ahead.answered.delete(this.item?.slot);
    this.unseen.textContent = announcement(this.item);
    this.tellWaiting();
    if (this.item) this.ahead.fill(this.item.slot); // not before: fetching would hold up this one
    this.applyWaiting();
  }

  showStatus(status) {
    this.status = status;
    this.classes.show(status);
    const { training } = status;
    this.pill.textContent = TRAINING[training.state](training, status.images);
    this.pill.dataset.state = training.state;
    this.pill.title = training.seconds === null ? "" : `The last training took ${training.seconds.toFixed(1)} s`;
    this.numbers.show(status);
    this.agreement.show(status);
  }
}

// What a screen reader says of a new image
function announcement({ name, position, batch, predictions }) {
  const [first] = predictions;
  const guess = first ? ` The model predicts ${first.label}, ${percent(first.probability)}.` : "";
  return `${name}, ${position} of ${batch} in this batch.${guess}`;
}
