import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox } from "../../static/chat/js/outbox.js";

/** An outbox; the test settles each of its sends. */
function rig() {
  const asked = [];
  const states = [];
  const failures = [];
  const outbox = new Outbox({
    send: (message) => new Promise((resolve, reject) => asked.push({ ...message, resolve, reject })),
    changed: (texts) => states.push(texts),
    failed: (texts, reason) => failures.push({ texts, reason: reason.message }),
  });
  return { outbox, asked, states, failures };
}
const settled = () => new Promise(setImmediate);

test("messages are sent one at a time, in order", async () => {
  const { outbox, asked } = rig();
  outbox.put({ text: "one" });
  outbox.put({ text: "two" });
  assert.deepEqual(asked.map(({ text }) => text), ["one"]);
  asked[0].resolve();
  await settled();
  assert.deepEqual(asked.map(({ text }) => text), ["one", "two"]);
});

test("messages are reported as queued until they have arrived", async () => {
  const { outbox, asked, states } = rig();
  outbox.put({ text: "one" });
  asked[0].resolve();
  await settled();
  assert.deepEqual(states, [["one"], []]);
});

test("a refusal gives back the message and those queued after it, unsent", async () => {
  const { outbox, asked, failures } = rig();
  for (const text of ["one", "two", "three"]) outbox.put({ text });
  asked[0].reject(new Error("no"));
  await settled();
  assert.deepEqual(failures, [{ texts: ["one", "two", "three"], reason: "no" }]);
  assert.equal(asked.length, 1);
});

test("after a refusal the next message is sent", async () => {
  const { outbox, asked } = rig();
  outbox.put({ text: "one" });
  asked[0].reject(new Error("no"));
  await settled();
  outbox.put({ text: "two", to: "ada" });
  assert.deepEqual(asked.map(({ text, to }) => [text, to]), [["one", undefined], ["two", "ada"]]);
});
