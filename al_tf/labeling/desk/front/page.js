// The desk as a page of its own: the same front end, with requests to the local server.

import { mount } from "./desk.js";
import { make } from "./elements.js";
import { followTheme } from "./theme.js";

const NEWS_MS = 150; // until it is asked how far the opening of the folder is

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What is on the page until the folder is open
class OpeningNotice {
  constructor(place) {
    this.place = place;
    this.failed = false;
  }

  // news: `opening`, what is being done, or `failed`, why the folder cannot be opened
  show({ opening, failed }) {
    if (this.failed || !(opening || failed)) return;
    if (!this.element) this.build();
    if (failed) this.fail(failed);
    else this.step.textContent = opening;
  }

  build() {
    this.title = make("h1", { textContent: "Opening the folder" });
    this.step = make("p", { class: "altf-pill", role: "status" });
    this.step.dataset.state = "running";
    this.element = make("section", { class: "altf altf-page altf-opening" }, make("div", {}, this.title, this.step));
    this.unfollow = followTheme(this.element);
    this.place.append(this.element);
  }

  fail(reason) {
    this.failed = true;
    this.title.textContent = "The desk could not be opened";
    const remedy = "Put this right, and start the program again: its address will be another one.";
    this.step.replaceWith(
      make("p", { class: "altf-error", role: "alert" }, make("span", { textContent: reason })),
      make("p", { textContent: remedy }),
    );
  }

  remove() {
    this.unfollow?.();
    this.element?.remove();
  }
}

const place = document.getElementById("desk");
const notice = new OpeningNotice(place);

async function fetched(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Error("The desk's program does not answer: is it still running? Labels given so far are in the ledger.");
  }
}

async function ask(request) {
  const body = JSON.stringify(request);
  const response = await fetched("ask", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (response.status === 503) {
    notice.show(await response.json());
    if (notice.failed) return new Promise(() => {}); // the program has ended
    await pause(NEWS_MS);
    return ask(request);
  }
  if (response.status === 403) {
    throw new Error("This page belongs to an earlier run: open the address that the program printed last.");
  }
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

// The desk's first request is answered once the folder is open; until then the page says how far that is.
async function start() {
  let first = ask({ do: "look" });
  let answered = false;
  const end = first.catch(() => {}).then(() => (answered = true)); // of an error, the desk tells
  while (!answered && !notice.failed) {
    await Promise.race([end, pause(NEWS_MS)]);
    const news = answered ? {} : await fetched("opening").then((reply) => reply.json()).catch(() => ({}));
    if (!answered) notice.show(news);
  }
  if (notice.failed) return;
  notice.remove();
  const askOrTake = (request) => {
    const reply = first ?? ask(request);
    first = undefined;
    return reply;
  };
  mount(place, askOrTake, { page: true });
}

start();
