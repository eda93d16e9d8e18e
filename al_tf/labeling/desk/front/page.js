// The desk as a page of its own: the same front end, with requests to the local server.

import { mount } from "./desk.js";
import { make } from "./elements.js";
import { followTheme } from "./theme.js";

const AGAIN_MS = 50; // the server itself keeps a request waiting while the folder is being opened

// What is on the page until the folder is open
class OpeningNotice {
  constructor(place) {
    this.place = place;
  }

  tell(step) {
    if (!this.element) this.build();
    this.step.textContent = step;
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
    this.tell("");
    this.title.textContent = "The desk could not be opened";
    const remedy = "Put this right, and start the program again: its address will be another one.";
    this.step.replaceWith(make("p", { class: "altf-error", role: "alert" }, make("span", { textContent: reason })), make("p", { textContent: remedy }));
  }

  remove() {
    this.unfollow?.();
    this.element?.remove();
  }
}

const place = document.getElementById("desk");
const notice = new OpeningNotice(place);

async function post(request) {
  try {
    return await fetch("ask", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
    });
  } catch {
    throw new Error("The desk's program does not answer: is it still running? Labels given so far are in the ledger.");
  }
}

async function ask(request) {
  const response = await post(request);
  if (response.status === 503 && response.headers.get("Content-Type") === "application/json") {
    const { opening, failed } = await response.json();
    if (failed) {
      notice.fail(failed);
      return new Promise(() => {}); // the program has ended
    }
    notice.tell(opening);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    return ask(request);
  }
  if (response.status === 403) {
    throw new Error("This page belongs to an earlier run: open the address that the program printed last.");
  }
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

// The first request waits until the folder is open; its reply is that to the first of the desk.
async function start() {
  let first = ask({ do: "look" });
  await first.catch(() => {}); // the desk says it
  notice.remove();
  const askOrTake = (request) => {
    const reply = first ?? ask(request);
    first = undefined;
    return reply;
  };
  mount(place, askOrTake, { page: true });
}

start();
