// The desk as a page of its own: the same front end, with requests to the local server.

import { mount } from "./desk.js";

async function ask(request) {
  let response;
  try {
    response = await fetch("ask", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
    });
  } catch {
    throw new Error("The desk's program does not answer: is it still running? Labels given so far are in the ledger.");
  }
  if (response.status === 403) {
    throw new Error("This page belongs to an earlier run: open the address that the program printed last.");
  }
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

mount(document.getElementById("desk"), ask, { page: true });
