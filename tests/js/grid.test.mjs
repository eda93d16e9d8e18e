// The parts of the review grid that need no browser.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { placesInView } from "../../al_tf/labeling/desk/front/grid.js";
import { Listing, PART } from "../../al_tf/labeling/desk/front/listing.js";
import { Selection, stepOfKey } from "../../al_tf/labeling/desk/front/selection.js";
import { ThumbnailLoader } from "../../al_tf/labeling/desk/front/thumbnails.js";

const settle = () => new Promise((resolve) => setTimeout(resolve));

describe("Selection", () => {
  const after = (...steps) => {
    const selection = new Selection(20);
    for (const [method, ...rest] of steps) selection[method](...rest);
    return selection;
  };

  it("is one place by click, more with ctrl, a range with shift", () => {
    assert.deepEqual(after(["choose", 4], ["choose", 9]).places, [9]);
    assert.deepEqual(after(["choose", 4], ["choose", 9, { toggle: true }]).places, [4, 9]);
    assert.deepEqual(after(["choose", 9], ["choose", 6, { extend: true }]).places, [6, 7, 8, 9]);
    assert.deepEqual(after(["choose", 4], ["choose", 4, { toggle: true }]).places, []);
  });

  it("keeps the anchor of a range while it grows and shrinks", () => {
    const range = [["choose", 5], ["choose", 9, { extend: true }], ["choose", 3, { extend: true }]];
    assert.deepEqual(after(...range).places, [3, 4, 5]);
    assert.deepEqual(after(["choose", 5], ["move", 1, { extend: true }], ["move", 1, { extend: true }], ["move", -1, { extend: true }]).places, [5, 6]);
  });

  it("adds a range to what is selected with shift and ctrl", () => {
    const steps = [["choose", 1], ["choose", 5, { toggle: true }], ["choose", 7, { extend: true, toggle: true }]];
    assert.deepEqual(after(...steps).places, [1, 5, 6, 7]);
  });

  it("moves to the ends and no further; held, the focus alone", () => {
    assert.deepEqual(after(["choose", 3], ["move", -20]).places, [0]);
    const held = after(["choose", 3], ["move", 20, { hold: true }]);
    assert.deepEqual([held.places, held.focus], [[3], 19]);
    assert.deepEqual(new Selection(0).places, []);
    assert.deepEqual(after(["reset", 0], ["move", 1]).places, []);
  });

  it("keeps its place when the list becomes shorter", () => {
    const selection = after(["choose", 15], ["reset", 8]);
    assert.deepEqual([selection.focus, selection.places], [7, []]);
  });

  it("has all, and none again", () => {
    const selection = after(["choose", 3], ["chooseAll"]);
    assert.equal(selection.chosen.size, 20);
    selection.clear();
    assert.deepEqual([selection.places, selection.anchor], [[], 3]);
  });
});

describe("stepOfKey", () => {
  it("is a cell, a row, a page, or to the ends", () => {
    const steps = ["ArrowLeft", "ArrowDown", "PageUp", "End"].map((key) => stepOfKey(key, 5, 3, 100));
    assert.deepEqual(steps, [-1, 5, -15, 100]);
    assert.equal(stepOfKey("x", 5, 3, 100), undefined);
  });
});

describe("placesInView", () => {
  const shape = { height: 600, rowHeight: 200, columns: 4, total: 10_000 };

  it("is a few rows, wherever the list is scrolled to", () => {
    for (const top of [0, 1, 777, 250_000, 499_400]) {
      const [first, end] = placesInView({ top, ...shape });
      const firstInView = Math.floor(top / 200) * 4;
      assert.ok(first <= firstInView && end >= Math.min(10_000, firstInView + 12), `${top}`);
      assert.ok(end - first <= 4 * (4 + 4), `${end - first} cells at ${top}`);
      assert.equal(first % 4, 0);
    }
  });

  it("ends with the list, and is nothing of an empty one", () => {
    assert.deepEqual(placesInView({ top: 0, ...shape, total: 3 }), [0, 3]);
    assert.deepEqual(placesInView({ top: 0, ...shape, total: 0 }), [0, 0]);
    assert.deepEqual(placesInView({ top: 5_000, ...shape, total: 3 }), [3, 3]); // until it is scrolled back
  });
});

describe("Listing", () => {
  const total = 2 * PART + 30;
  const server = (asked, fails = () => false) => async (request) => {
    asked.push(request);
    if (fails()) return { error: "the list is no longer kept" };
    const { offset = 0, limit } = request;
    const rows = Array.from({ length: Math.min(limit, total - offset) }, (_, i) => ({ image: `${offset + i}` }));
    return { review: { listing: 7, total, offset, rows } };
  };

  it("fetches the first part at once, others when they are needed, each once", async () => {
    const asked = [];
    const listing = new Listing(server(asked), { show: "answers" });
    await listing.open();
    assert.deepEqual([listing.total, listing.rows.length], [total, PART]);
    await Promise.all([listing.need(2 * PART, total), listing.need(2 * PART + 3, total), listing.need(0, 10)]);
    assert.deepEqual(asked.map(({ offset, listing: number }) => [offset, number]), [[undefined, undefined], [2 * PART, 7]]);
    assert.equal(listing.rows[total - 1].image, `${total - 1}`);
    assert.equal(listing.rows[PART], undefined);
    await listing.need(0, total);
    assert.equal(asked.length, 3);
  });

  it("says what went wrong, and tries again", async () => {
    let broken = false;
    const asked = [];
    const listing = new Listing(server(asked, () => broken), {});
    await listing.open();
    broken = true;
    await assert.rejects(listing.need(PART, PART + 1), /no longer kept/);
    broken = false;
    await listing.need(PART, PART + 1);
    assert.equal(listing.rows[PART].image, `${PART}`);
  });
});

describe("ThumbnailLoader", () => {
  const images = (n, from = 0) => Array.from({ length: n }, (_, i) => `image ${from + i}`);

  it("asks for a few at a time and drops what has left the view", async () => {
    const asked = [];
    const go = [];
    const ask = (request) => new Promise((resolve) => {
      asked.push(request.images);
      go.push(() => resolve({ thumbnails: Object.fromEntries(request.images.map((image) => [image, "data:"])) }));
    });
    let arrivals = 0;
    const loader = new ThumbnailLoader(ask, () => (arrivals += 1));
    loader.want(images(200));
    assert.deepEqual(asked.map((part) => part.length), [24, 24]);
    loader.want(images(30, 500)); // scrolled far away
    go.splice(0).forEach((reply) => reply());
    await settle();
    assert.deepEqual(asked.slice(2).map((part) => [part[0], part.length]), [["image 500", 24], ["image 524", 6]]);
    go.splice(0).forEach((reply) => reply());
    await settle();
    assert.equal(arrivals, 4);
    loader.want([...images(48), ...images(30, 500)]);
    await settle();
    assert.equal(asked.length, 4); // all are there
    assert.equal(loader.url("image 3"), "data:");
    assert.equal(loader.url("image 100"), undefined);
  });

  it("goes on after a request that failed", async () => {
    let fails = true;
    const ask = async ({ images: wanted }) => {
      if (fails) throw new Error("no answer");
      return { thumbnails: { [wanted[0]]: null } };
    };
    const loader = new ThumbnailLoader(ask, () => {});
    loader.want(["a"]);
    await settle();
    fails = false;
    loader.want(["a"]);
    await settle();
    assert.equal(loader.url("a"), null); // it cannot be shown, and is not asked for again
  });
});
