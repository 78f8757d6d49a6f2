import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { continues, insert, linkify, notePresence, noteText, startsDay } from "../../static/chat/js/transcript.js";

const NOON = new Date(2026, 0, 15, 12).getTime();
const MINUTE = 60_000;
const said = (id, from = "ada", time = NOON) => ({ id, from, time, text: id });

describe("insert", () => {
  test("puts messages in the order of sending, in whichever order they arrive", () => {
    const entries = [];
    for (const id of ["02", "01", "04", "03"]) insert(entries, said(id));
    assert.deepEqual(entries.map(({ id }) => id), ["01", "02", "03", "04"]);
  });

  test("inserts each message once", () => {
    const entries = [said("01"), said("02")];
    assert.equal(insert(entries, said("01")), -1);
    assert.equal(insert(entries, said("02")), -1);
    assert.equal(entries.length, 2);
  });

  test("returns the index", () => {
    assert.equal(insert([said("01"), said("03")], said("02")), 1);
  });

  test("leaves a note before a newer message", () => {
    const entries = [said("01"), { time: NOON, note: "hello" }];
    assert.equal(insert(entries, said("02")), 2);
  });
});

describe("headings and marks", () => {
  test("messages of one person within five minutes share a heading", () => {
    assert.ok(continues(said("01", "Alex*"), said("02", "Alex*", NOON + 4 * MINUTE)));
  });

  test("another person, a pause, a note or another day starts a new heading", () => {
    assert.ok(!continues(said("01", "ada"), said("02", "bob")));
    assert.ok(!continues(said("01"), said("02", "ada", NOON + 6 * MINUTE)));
    assert.ok(!continues({ time: NOON, note: "n" }, said("02")));
    assert.ok(!continues(undefined, said("01")));
    const midnight = new Date(2026, 0, 16).getTime();
    assert.ok(!continues(said("01", "ada", midnight - 1), said("02", "ada", midnight)));
  });

  test("a day is marked at its first entry only", () => {
    assert.ok(startsDay(undefined, said("01")));
    assert.ok(!startsDay(said("01"), said("02", "ada", NOON + MINUTE)));
    assert.ok(startsDay(said("01"), said("02", "ada", NOON + 24 * 60 * MINUTE)));
  });
});

describe("notes about people who come and go", () => {
  const read = (entries) => entries.map(noteText);

  test("changes close together share one", () => {
    const entries = [];
    notePresence(entries, { joined: ["ada"], left: [] }, NOON);
    notePresence(entries, { joined: ["bob"], left: [] }, NOON + MINUTE);
    assert.deepEqual(read(entries), ["ada and bob joined"]);
  });

  test("a message in between, or some time, starts a new one", () => {
    const entries = [];
    notePresence(entries, { joined: ["ada"], left: [] }, NOON);
    notePresence(entries, { joined: ["bob"], left: [] }, NOON + 3 * MINUTE);
    entries.push(said("01"));
    notePresence(entries, { joined: [], left: ["bob"] }, NOON + 3 * MINUTE);
    assert.deepEqual(read(entries.filter(({ id }) => !id)), ["ada joined", "bob joined", "bob left"]);
  });

  test("people who left and came back, or came and left at once, are not mentioned", () => {
    const entries = [];
    notePresence(entries, { joined: [], left: ["ada"] }, NOON);
    assert.equal(notePresence(entries, { joined: ["ada"], left: [] }, NOON + 1), undefined);
    notePresence(entries, { joined: ["bob"], left: [] }, NOON + 2);
    notePresence(entries, { joined: [], left: ["bob"] }, NOON + 3);
    assert.deepEqual(entries, []);
  });

  test("many people are counted, not listed", () => {
    const joined = Array.from({ length: 30 }, (_, i) => `guest ${i}`);
    assert.equal(noteText({ joined, left: ["ada"] }), "guest 0, guest 1 and 28 others joined · ada left");
  });
});

describe("linkify", () => {
  const links = (text) => linkify(text).filter(({ href }) => href);

  test("loses no character of the text", () => {
    const text = "see https://example.org/a, (http://b.example/c_(d)) and <b>this</b>\n";
    assert.equal(linkify(text).map((segment) => segment.text).join(""), text);
  });

  test("makes a link of a web address and of nothing around it", () => {
    assert.deepEqual(linkify("at https://example.org/x?y=1#z now"), [
      { text: "at " }, { text: "https://example.org/x?y=1#z", href: "https://example.org/x?y=1#z" }, { text: " now" },
    ]);
  });

  test("leaves the punctuation and brackets of the sentence outside", () => {
    assert.deepEqual(links("Is it https://example.org?").map(({ text }) => text), ["https://example.org"]);
    assert.deepEqual(links("(https://example.org/a).").map(({ text }) => text), ["https://example.org/a"]);
    assert.deepEqual(links("https://example.org/a_(b)").map(({ text }) => text), ["https://example.org/a_(b)"]);
  });

  for (const text of [
    "javascript:alert(1)", "data:text/html,x", "ftp://example.org", "file:///etc/passwd", "mailto:ada@example.org",
    "http://", "https://?", "www.example.org", "<img src=x onerror=alert(1)>",
  ]) {
    test(`makes no link of ${text}`, () => assert.deepEqual(links(text), []));
  }

  test("ends an address before characters that reorder or hide text", () => {
    assert.deepEqual(links("https://example.org/\u202Egpj.exe").map(({ href }) => href), ["https://example.org/"]);
  });

  test("keeps quotes and angle brackets out of an address", () => {
    assert.deepEqual(links('https://example.org/"onmouseover="x').map(({ href }) => href), ["https://example.org/"]);
  });

  test("reads the longest texts to their end", () => {
    const brackets = `https://example.org/${")".repeat(4000)}`;
    assert.deepEqual(linkify(brackets), [
      { text: "https://example.org/", href: "https://example.org/" }, { text: ")".repeat(4000) },
    ]);
    const schemes = "http://".repeat(600);
    assert.deepEqual(links(schemes).map(({ text }) => text), [schemes]);
  });
});
