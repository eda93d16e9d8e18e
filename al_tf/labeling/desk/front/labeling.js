// The main view: one image at a time. It keeps no state of its own: every reply says how things stand.

import { commandButton } from "./buttons.js";
import { ClassPanel } from "./classes.js";
import { make, plural } from "./elements.js";
import { NumbersPanel } from "./numbers.js";
import { Stage } from "./stage.js";
import { WhyPanel } from "./why.js";

const GUARD_MS = 250; // nobody sees an image and answers sooner: that is a key or click that bounced
const POLL_MS = 1_000;
const BUSY_STATES = ["embedding", "running"];
const TRAINING = {
  none: () => "No model yet",
  embedding: (t, images) => `Looking at the images: ${t.embedded} of ${images}`,
  running: (t) => (t.round ? `Training model ${t.round + 1} …` : "Training the first model …"),
  ready: (t) => `Model ${t.round}, from ${plural(t.labels, "label")}`,
  failed: () => "Training failed",
};

export class LabelingView {
  // root: the desk's element; ask(request) -> Promise of the reply; open(view, of): go to another view
  constructor(root, ask, open) {
    Object.assign(this, { root, ask, open });
    this.item = null;
    this.busy = false; // an answer is on its way: no other is taken
    this.turn = 0; // of the newest request; replies to older ones are dropped
    this.shownAt = Infinity;
    this.build();
    this.onVisible = () => document.hidden || this.element.hidden || this.busy || this.send({ do: "look" });
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
    this.stage = new Stage(() => this.imageShown());
    this.classes = new ClassPanel((name) => this.answer(name), () => this.root.focus());
    this.why = new WhyPanel();
    this.numbers = new NumbersPanel();
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
    };
    this.element = make("div", { class: "altf-frame" },
      make("header", { class: "altf-head" }, make("span", { class: "altf-title" }, this.name, this.place), this.pill),
      make("div", { class: "altf-work" }, this.error, this.stage.element, ...this.classes.elements,
        make("div", { class: "altf-commands", role: "group", aria: { label: "Commands" } }, ...Object.values(this.commands), ...Object.values(this.elsewhere)), this.live),
      make("aside", { class: "altf-side", aria: { label: "About the work" } }, this.why.element, ...this.numbers.elements),
    );
  }

  close() {
    document.removeEventListener("visibilitychange", this.onVisible);
    clearTimeout(this.timer);
    this.turn = NaN; // no reply is the newest one any more
  }

  goTo(view, of) {
    if (this.busy) return;
    clearTimeout(this.timer);
    this.turn += 1; // a status that comes now is not for this view
    this.open(view, of);
  }

  // Come back from another view, where something was done
  async resume(did) {
    await this.send({ do: "look" });
    if (did) this.live.textContent = did;
  }

  // What the person does ----------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 || ["Enter", "Backspace", "Delete"].includes(event.key)) event.stopPropagation();
    if (event.target === this.classes.filter) return this.classes.filterKey(event);
    const run = this.classes.commandOfKey(event) ?? this.commandOfKey(event.key) ?? this.commandOfKey(event.key.toLowerCase());
    if (!run) return;
    event.preventDefault();
    if (!event.repeat) run();
  }

  commandOfKey(key) {
    const commands = { ...this.commands, ...this.elsewhere };
    return Object.hasOwn(commands, key) ? () => commands[key].click() : undefined;
  }

  answer(label) {
    if (this.mayAnswer()) this.send({ do: "label", slot: this.item.slot, label });
  }

  skip() {
    if (this.mayAnswer()) this.send({ do: "skip", slot: this.item.slot });
  }

  undo() {
    if (!this.busy && performance.now() - this.shownAt >= GUARD_MS) this.send({ do: "undo", slot: this.item?.slot ?? null });
  }

  retrain() {
    if (!this.busy) this.send({ do: "retrain" });
  }

  mayAnswer() {
    return this.item && !this.busy && performance.now() - this.shownAt >= GUARD_MS;
  }

  // Asking and showing ------------------------------------------------------------------------

  // A quiet request holds up no answer; one that is given meanwhile makes its reply void.
  async send(request, quiet = request.do === "status") {
    clearTimeout(this.timer);
    const turn = ++this.turn;
    if (!quiet) this.setBusy(true);
    let reply;
    try {
      reply = await this.ask(request);
    } catch (error) {
      reply = { error: error.message };
    }
    if (turn !== this.turn) return;
    this.setBusy(false);
    this.show(reply, quiet);
  }

  setBusy(busy) {
    this.busy = busy;
    this.root.setAttribute("aria-busy", String(busy));
  }

  show({ error, did, item, status }, quiet) {
    const before = this.status?.training.state;
    const now = status?.training.state;
    const failure = status?.training.error;
    if (error) this.showError(error, "Look again", { do: "look" });
    else if (failure) this.showError(`The training failed; the labels are safe. ${failure}`, "Train again", { do: "retrain" });
    else if (!quiet) this.error.hidden = true;
    if (did) this.live.textContent = did;
    if (status) this.showStatus(status);
    if (item !== undefined) this.showItem(item);
    if (BUSY_STATES.includes(now)) this.timer = setTimeout(() => this.send({ do: "status" }), POLL_MS);
    else if (quiet && now && BUSY_STATES.includes(before)) this.send({ do: "look" }, true); // what the new model predicts
  }

  showError(text, remedy, request) {
    const button = make("button", { type: "button", class: "altf-button", textContent: remedy });
    button.addEventListener("click", () => this.busy || this.send(request));
    this.error.replaceChildren(make("span", { textContent: text }), button);
    this.error.hidden = false;
  }

  showItem(item) {
    const same = item && this.item && item.slot === this.item.slot && item.image === this.item.image;
    this.item = item;
    this.root.classList.toggle("altf-finished", !item);
    this.classes.disable(!item);
    this.commands.s.disabled = !item;
    this.name.textContent = item ? item.name : "Nothing left to label";
    this.name.title = item ? item.name : "";
    this.place.textContent = item ? `${item.position} of ${item.batch} in this batch` : "";
    this.why.show(item);
    if (!item) {
      this.root.dataset.slot = "";
      this.shownAt = performance.now();
      this.stage.showEnd(this.status?.remaining);
    } else if (!same) {
      this.shownAt = Infinity; // until it has been painted
      this.stage.show(item);
    }
  }

  imageShown() {
    this.shownAt = performance.now();
    this.root.dataset.slot = this.item?.slot ?? "";
  }

  showStatus(status) {
    this.status = status;
    this.classes.show(status);
    const { training } = status;
    this.pill.textContent = TRAINING[training.state](training, status.images);
    this.pill.dataset.state = training.state;
    this.pill.title = training.seconds === null ? "" : `The last training took ${training.seconds.toFixed(1)} s`;
    this.numbers.show(status);
  }
}
