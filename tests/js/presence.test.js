import assert from "node:assert/strict";
import { test } from "node:test";

import { bare, changed, fold, hue, initial, roster, samePerson, without } from "../../static/chat/js/presence.js";

test("an account's asterisk is not part of the name", () => {
  assert.equal(bare("Alex*"), "Alex");
  assert.equal(bare("Alex＊"), "Alex");
  assert.equal(bare("8*8"), "8*8");
});

test("case, width and asterisk do not make another person", () => {
  assert.ok(samePerson("Alex*", "alex"));
  assert.ok(samePerson("Ａｄａ", "ada"));
  assert.ok(!samePerson("ada", "adam"));
  assert.equal(fold("Sue*"), fold("SUE"));
});

test("the list is alphabetical, sorts numbers by value, and has each person once", () => {
  assert.deepEqual(roster(["guest 10", "bob", "Ada", "guest 9", "ada"]), ["ada", "bob", "guest 9", "guest 10"]);
});

test("a presence adds who joined and removes who left", () => {
  assert.deepEqual(changed(["ada", "bob"], { joined: ["cleo"], left: ["ada"] }), ["bob", "cleo"]);
});

test("a person who changes the spelling of their name stays", () => {
  assert.deepEqual(changed(["ada", "bob"], { joined: ["ADA"], left: ["ada"] }), ["ADA", "bob"]);
});

test("a presence may leave out an empty list", () => {
  assert.deepEqual(changed(["ada"], {}), ["ada"]);
});

test("new people are inserted in order, also at the ends", () => {
  assert.deepEqual(changed(["bob", "dora"], { joined: ["eve", "ada", "Cleo"] }), ["ada", "bob", "Cleo", "dora", "eve"]);
});

test("names are removed in any spelling", () => {
  assert.deepEqual(without(["Alex*", "bob"], ["alex"]), ["bob"]);
});

test("a name has the same colour in any spelling", () => {
  assert.equal(hue("Alex*"), hue("alex"));
  assert.ok(hue("ada") >= 0 && hue("ada") < 360);
});

test("most names that look alike differ in colour", () => {
  const hues = new Set(Array.from({ length: 24 }, (_, i) => hue(`guest ${i}`)));
  assert.ok(hues.size >= 12, `${hues.size} colours for 24 names`);
});

test("the initial is one grapheme", () => {
  assert.equal(initial("ada"), "A");
  assert.equal(initial("👩‍🔬 lab"), "👩‍🔬");
  assert.equal(initial(""), "?");
});
