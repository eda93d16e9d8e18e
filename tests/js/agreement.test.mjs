// What the page says of second opinions.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { agreementRows } from "../../al_tf/labeling/desk/front/agreement.js";

const same = { value: 0.9, low: 0.683, high: 0.988, n: 20 };

describe("The rows of an agreement", () => {
  const terms = (agreement) => Object.fromEntries(agreementRows("ann", agreement).map(([term, value]) => [String(term), value]));

  it("say who one is before the first second opinion", () => {
    assert.deepEqual(terms(null), { "You are": "ann", "Images labeled by two": "none yet" });
  });

  it("say that others than the referee do not see it", () => {
    assert.deepEqual(agreementRows("ben", null, false).map(([term, value]) => [term, value]), [["You are", "ben"], ["Agreement", "shown to the referee"]]);
  });

  it("have the share, kappa and their intervals, and the classes that are confused", () => {
    const confused = [["bad", "good", 2], ["bad", "ugly", 1], ["a", "b", 1], ["c", "d", 1]];
    assert.deepEqual(terms({ same, kappa: 0.7123, kappa_low: 0.4, kappa_high: 1, confused }), {
      "You are": "ann", "Same label by both": "18 of 20", "Share": "68 % to 99 %", "Kappa": "0.71 (0.40 to 1.00)",
      "bad,good": "2", "bad,ugly": "1", "a,b": "1",
    });
  });

  it("leave out what cannot be reckoned", () => {
    const shown = terms({ same: { value: 1, low: 0.025, high: 1, n: 1 }, kappa: null, kappa_low: null, kappa_high: null, confused: [] });
    assert.deepEqual(Object.keys(shown), ["You are", "Same label by both"]);
    assert.equal(terms({ same, kappa: 1, kappa_low: null, kappa_high: null, confused: [] }).Kappa, "1.00");
  });
});
