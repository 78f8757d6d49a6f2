import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { KEPT, Store } from "../../static/chat/js/store.js";
import { EVERYONE, keyOf, person, room } from "../../static/chat/js/targets.js";

const WELCOME = {
  username: "Sue*", authenticated: true, users: ["Sue*", "ada", "bob"], rooms: ["Taskmaster"], token: "t",
};
let store, told, serial;

beforeEach(() => {
  store = new Store();
  told = [];
  serial = 0;
  for (const type of ["session", "people", "opened", "closed", "entry", "entries", "note", "conversation", "typing"]) {
    store.addEventListener(type, (event) => told.push({ type, conversation: event.conversation?.title }));
  }
});

const nextId = () => String(++serial).padStart(8, "0");
const said = (from_user, more = {}) => ({ id: nextId(), time: 1000, from_user, text: "hi", ...more });
const heard = (type) => told.filter((event) => event.type === type).map(({ conversation }) => conversation);

describe("a session", () => {
  test("begins with Everyone open and the others listed", () => {
    store.welcome(WELCOME);
    assert.deepEqual(heard("opened"), ["Everyone"]);
    assert.deepEqual(store.others, ["ada", "bob"]);
    assert.deepEqual(store.groups, ["Taskmaster"]);
  });

  test("after a reconnection keeps its open conversations and their messages", () => {
    store.welcome(WELCOME);
    store.open(person("ada"));
    store.receive(said("ada"));
    store.connectionChanged("reconnecting");
    store.welcome({ ...WELCOME, users: ["Sue*", "bob"] });
    assert.deepEqual(heard("opened"), ["Everyone", "ada"]);
    assert.equal(store.conversation(EVERYONE).entries.length, 1);
    assert.deepEqual(store.others, ["bob"]);
    assert.equal(store.connection, "connected");
  });

  test("that has ended leaves nothing for the next person at this browser", () => {
    store.welcome(WELCOME);
    store.receive(said("ada", { to_user: "Sue*" }));
    store.leave();
    assert.deepEqual(heard("closed").sort(), ["Everyone", "ada"]);
    assert.deepEqual([store.me, store.people, store.conversations.size, store.unread], [null, [], 0, 0]);
  });
});

describe("a message", () => {
  beforeEach(() => store.welcome(WELCOME));

  test("that arrives twice is shown once", () => {
    const message = said("ada");
    store.receive(message);
    assert.equal(store.receive(message), null);
    assert.equal(store.conversation(EVERYONE).entries.length, 1);
    assert.equal(store.unread, 1);
  });

  test("from a person opens that person's conversation", () => {
    store.receive(said("ada", { to_user: "Sue*" }));
    assert.deepEqual(heard("opened"), ["Everyone", "ada"]);
  });

  test("from the user's other connection goes to the conversation with the recipient", () => {
    store.receive(said("Sue*", { to_user: "bob" }));
    assert.deepEqual(heard("opened"), ["Everyone", "bob"]);
    assert.equal(store.unread, 0);
  });

  test("is unread until its conversation is read", () => {
    store.receive(said("ada"));
    assert.equal(store.conversation(EVERYONE).unread, 1);
    store.read("everyone");
    assert.equal(store.unread, 0);
    store.receive(said("ada"));
    assert.equal(store.unread, 0);
  });

  test("to everyone is counted, but does not open Everyone again after it was closed", () => {
    store.close(store.conversation(EVERYONE));
    store.receive(said("ada"));
    assert.equal(store.conversation(EVERYONE).open, false);
    assert.equal(store.unread, 1);
  });

  test("in a room that the user has left opens nothing", () => {
    assert.equal(store.receive(said("ada", { room: "Taskmaster" })), null);
    assert.deepEqual(heard("opened"), ["Everyone"]);
  });

  test("after very many drops the oldest", () => {
    for (let i = 0; i < KEPT * 2; i++) store.receive(said("ada"));
    const { entries } = store.conversation(EVERYONE);
    assert.ok(entries.length >= KEPT && entries.length < KEPT * 1.5, `${entries.length} kept`);
    assert.equal(entries.at(-1).id, String(serial).padStart(8, "0"));
  });
});

describe("people", () => {
  beforeEach(() => store.welcome(WELCOME));

  test("who come and go change the list and add a note", () => {
    store.presence({ joined: ["cleo"], left: ["bob"] }, 5);
    assert.deepEqual(store.others, ["ada", "cleo"]);
    assert.deepEqual(store.conversation(EVERYONE).entries, [{ time: 5, joined: ["cleo"], left: ["bob"] }]);
  });

  test("are found under any spelling, with or without asterisk", () => {
    store.presence({ joined: ["Alex*"], left: ["ada"] });
    assert.equal(store.find("ALEX"), "Alex*");
    assert.equal(store.find("Alexa"), undefined);
    assert.equal(store.find("ada"), undefined);
  });

  test("may arrive by the thousand, and the list is not sorted again each time", (t) => {
    let comparisons = 0;
    const { get } = Object.getOwnPropertyDescriptor(Intl.Collator.prototype, "compare");
    t.mock.getter(Intl.Collator.prototype, "compare", function compare() {
      comparisons += 1;
      return get.call(this);
    });
    for (let batch = 0; batch < 50; batch++) {
      store.presence({ joined: Array.from({ length: 100 }, (_, i) => `guest ${batch * 100 + i}`), left: [] }, batch);
    }
    assert.equal(store.others.length, 5002);
    assert.equal(store.conversation(EVERYONE).entries.length, 1);
    assert.ok(comparisons > 5000 && comparisons < 100_000, `${comparisons} comparisons`);
  });

  test("who were here already, and the user, are not announced", () => {
    store.presence({ joined: ["ada", "Sue*"], left: ["nobody"] });
    assert.deepEqual(store.conversation(EVERYONE).entries, []);
  });

  test("who change the spelling of their name change the title of their conversation", () => {
    store.open(person("ada"));
    store.presence({ joined: ["Ada"], left: ["ada"] });
    assert.equal(store.conversation(person("ada")).title, "Ada");
    assert.deepEqual(store.conversation(EVERYONE).entries, []);
  });

  test("who enter a room are added to that room only", () => {
    const conversation = store.open(room("Taskmaster"));
    store.members(conversation, ["Sue*"]);
    store.presence({ joined: ["Sandy*"], left: [], room: "Taskmaster" });
    assert.deepEqual(conversation.members, ["Sandy*", "Sue*"]);
    assert.deepEqual(store.others, ["ada", "bob"]);
  });

  test("who type are shown in their conversation, except the user", () => {
    store.open(person("ada"));
    store.typing({ from_user: "ada", to_user: "Sue*" });
    store.typing({ from_user: "Sue*" });
    assert.deepEqual(heard("typing"), ["ada"]);
  });
});

describe("closing", () => {
  beforeEach(() => store.welcome(WELCOME));

  test("a private conversation keeps its messages and its draft", () => {
    const conversation = store.open(person("ada"));
    store.receive(said("ada", { to_user: "Sue*" }));
    conversation.draft = "half a sentence";
    store.close(conversation);
    const again = store.open(person("ADA"));
    assert.equal(again, conversation);
    assert.equal(again.entries.length, 1);
    assert.equal(again.draft, "half a sentence");
  });

  test("a room forgets its messages", () => {
    const conversation = store.open(room("Taskmaster"));
    store.close(conversation);
    assert.ok(!store.conversations.has(keyOf(room("Taskmaster"))));
  });
});
