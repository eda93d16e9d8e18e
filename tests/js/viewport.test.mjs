// Where an image is on the stage, and which values are shown black and white.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { windowOf } from "../../al_tf/labeling/desk/front/tone.js";
import { covers, fitted, moved, seenBox, zoomed } from "../../al_tf/labeling/desk/front/viewport.js";

const STAGE = { width: 600, height: 400 };
const IMAGE = { width: 6000, height: 4000 };
const TALL = { width: 100, height: 4000 };
const pixelAt = (view, point) => [(point.x - view.x) / view.scale, (point.y - view.y) / view.scale];
const near = (one, other) => one.forEach((value, i) => assert.ok(Math.abs(value - other[i]) < 1e-6, `${one} ≠ ${other}`));

describe("The view", () => {
  it("fits the whole image, in the middle", () => {
    assert.deepEqual(fitted(STAGE, IMAGE), { scale: 0.1, x: 0, y: 0 });
    assert.deepEqual(fitted(STAGE, TALL), { scale: 0.1, x: 295, y: 0 });
  });

  it("keeps the pixel under the pointer while zooming", () => {
    const point = { x: 123, y: 301 };
    const fit = fitted(STAGE, IMAGE);
    near(pixelAt(zoomed(fit, 7, point, STAGE, IMAGE), point), pixelAt(fit, point));
  });

  it("is never smaller than fitted nor larger than 32 pixels of the screen a pixel", () => {
    const point = { x: 300, y: 200 };
    assert.equal(zoomed(fitted(STAGE, IMAGE), 0.5, point, STAGE, IMAGE).scale, 0.1);
    assert.equal(zoomed(fitted(STAGE, IMAGE), 1e9, point, STAGE, IMAGE).scale, 32);
    const tiny = { width: 4, height: 4 };
    assert.equal(zoomed(fitted(STAGE, tiny), 3, point, STAGE, tiny).scale, 100); // fitted is larger already
  });

  it("leaves no empty stage beside an image that can fill it", () => {
    const near1 = zoomed(fitted(STAGE, IMAGE), 10, { x: 0, y: 0 }, STAGE, IMAGE);
    assert.deepEqual(moved(near1, 500, 500, STAGE, IMAGE), { scale: 1, x: 0, y: 0 });
    assert.deepEqual(moved(near1, -1e6, -1e6, STAGE, IMAGE), { scale: 1, x: -5400, y: -3600 });
  });
});

describe("The part that is fetched", () => {
  it("holds what is seen and a margin, within the image", () => {
    const view = { scale: 1, x: -1000, y: 0 };
    assert.deepEqual(seenBox(view, STAGE, IMAGE), [850, 0, 900, 500]);
    assert.ok(covers(seenBox(view, STAGE, IMAGE), view, STAGE, IMAGE));
  });

  it("no longer covers what is seen after a long move, but does after a short one", () => {
    const view = { scale: 1, x: -1000, y: -1000 };
    const box = seenBox(view, STAGE, IMAGE);
    assert.ok(covers(box, moved(view, 100, 50, STAGE, IMAGE), STAGE, IMAGE));
    assert.ok(!covers(box, moved(view, 400, 0, STAGE, IMAGE), STAGE, IMAGE));
  });
});

describe("Brightness and contrast", () => {
  it("are a window of values, the whole range at zero", () => {
    assert.deepEqual(windowOf(0, 0, 4095), { low: 0, high: 4095 });
    assert.deepEqual(windowOf(0, 20, 4000), { low: 1000, high: 3000 });
    const brighter = windowOf(50, 0, 1000);
    assert.deepEqual(brighter, { low: -250, high: 750 });
  });
});
