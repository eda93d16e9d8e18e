// The desk in a notebook: the same front end, with messages to and from the kernel.

import { mount } from "./desk.js";

const PATIENCE_MS = 30_000;

function kernelTransport(model) {
  const waiting = new Map();
  const receive = (message) => {
    waiting.get(message?.to)?.(message.reply);
    waiting.delete(message?.to);
  };
  model.on("msg:custom", receive);
  const ask = (request) =>
    new Promise((resolve, reject) => {
      const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
      setTimeout(() => {
        waiting.delete(id);
        reject(new Error("Python does not answer: is the kernel busy, or stopped? Labels given so far are in the ledger."));
      }, PATIENCE_MS);
      waiting.set(id, resolve);
      model.send({ ask: id, request });
    });
  return [ask, () => model.off("msg:custom", receive)];
}

export default {
  render({ model, el }) {
    const [ask, hangUp] = kernelTransport(model);
    const unmount = mount(el, ask);
    return () => {
      unmount();
      hangUp();
    };
  },
};
