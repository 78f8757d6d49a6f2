import assert from "node:assert/strict";
import { test } from "node:test";

import { EVERYONE, keyOf, person, room, targetOf, titleOf } from "../../static/chat/js/targets.js";

test("the title of a conversation is Everyone, the person's name, or #room", () => {
  assert.deepEqual([EVERYONE, person("Alex*"), room("Taskmaster")].map(titleOf), ["Everyone", "Alex*", "#Taskmaster"]);
});

test("a person has one conversation for all spellings of their name", () => {
  assert.equal(keyOf(person("Alex*")), keyOf(person("alex")));
});

test("a person, a room and everyone are never the same conversation", () => {
  assert.equal(new Set([EVERYONE, person("everyone"), room("everyone")].map(keyOf)).size, 3);
});

test("a message with a room belongs to the room", () => {
  assert.deepEqual(targetOf({ from_user: "ada", room: "lab" }, "bob"), room("lab"));
});

test("a message without recipient belongs to everyone", () => {
  assert.deepEqual(targetOf({ from_user: "ada" }, "bob"), EVERYONE);
});

test("a private message belongs to the conversation with the other person, whoever wrote it", () => {
  assert.deepEqual(targetOf({ from_user: "ada", to_user: "Alex*" }, "Alex*"), person("ada"));
  assert.deepEqual(targetOf({ from_user: "Alex*", to_user: "ada" }, "alex"), person("ada"));
});
