// Which class a key or a few letters choose, and what a form would change.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { changesOf } from "../../al_tf/labeling/desk/front/class_form.js";
import { classOfKey, narrowed } from "../../al_tf/labeling/desk/front/classes.js";

const DETAILS = [
  { name: "good", key: "1" },
  { name: "scratch", key: "k" },
  { name: "été", key: "é" },
  { name: "nameless", key: null },
];

describe("A key", () => {
  const chosen = (key, code) => classOfKey(DETAILS, { key, code });

  it("chooses the class that has it, in either case", () => {
    assert.equal(chosen("1", "Digit1"), "good");
    assert.equal(chosen("k", "KeyK"), "scratch");
    assert.equal(chosen("K", "KeyK"), "scratch");
  });

  it("is a digit by its place where the layout types something else", () => {
    assert.equal(chosen("&", "Digit1"), "good");
    assert.equal(chosen("End", "Numpad1"), "good");
    assert.equal(chosen("é", "Digit1"), "été"); // what it types comes first
  });

  it("chooses nothing that no class has", () => {
    assert.equal(chosen("x", "KeyX"), undefined);
    assert.equal(chosen("é", undefined), "été");
    assert.equal(chosen("F1", "F1"), undefined);
    assert.equal(chosen("null", ""), undefined);
  });
});

describe("Letters typed into the box", () => {
  const names = ["scratch", "crack", "Crack, deep", "dent"];

  it("leave the names that have them", () => {
    assert.deepEqual(narrowed(names, "CRA").fits, [true, true, true, false]);
    assert.deepEqual(narrowed(names, " ").fits, [true, true, true, true]);
  });

  it("mean the whole name, else one that begins so, else one that has them", () => {
    assert.equal(narrowed(names, "crack").meant, 1);
    assert.equal(narrowed(names, "crack, deep").meant, 2);
    assert.equal(narrowed(names, "cr").meant, 1);
    assert.equal(narrowed(names, "atch").meant, 0);
    assert.equal(narrowed(names, "none").meant, -1);
    assert.equal(narrowed(names, "").meant, -1);
  });
});

describe("A form", () => {
  const entry = { name: "scratch", description: "thin", key: "3", has_own_key: false, color: null };
  const same = { name: "scratch", description: "thin", key: "", color: "" };

  it("asks for what is other than before, and for nothing else", () => {
    assert.equal(changesOf(entry, same), null);
    assert.deepEqual(changesOf(entry, { ...same, name: "scrape", color: "red" }), {
      do: "class", change: "edit", name: "scratch", to: "scrape", color: "red",
    });
    assert.deepEqual(changesOf({ ...entry, key: "k", has_own_key: true }, { ...same, description: "" }), {
      do: "class", change: "edit", name: "scratch", description: "", key: "",
    });
  });
});
