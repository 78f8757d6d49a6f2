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

  test("taken up again keeps what is open and what was said", () => {
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

  test("that was left leaves nothing for the next person at this browser", () => {
    store.welcome(WELCOME);
    store.receive(said("ada", { to_user: "Sue*" }));
    store.leave();
    assert.deepEqual(heard("closed").sort(), ["Everyone", "ada"]);
    assert.deepEqual([store.me, store.people, store.conversations.size, store.unread], [null, [], 0, 0]);
  });
});

describe("a message", () => {
  beforeEach(() => store.welcome(WELCOME));

  test("that came twice is there once", () => {
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

  test("of one's own from another connection goes to the conversation with the recipient", () => {
    store.receive(said("Sue*", { to_user: "bob" }));
    assert.deepEqual(heard("opened"), ["Everyone", "bob"]);
    assert.equal(store.unread, 0);
  });

  test("is unread until its conversation is looked at", () => {
    store.receive(said("ada"));
    assert.equal(store.conversation(EVERYONE).unread, 1);
    store.read("everyone");
    assert.equal(store.unread, 0);
    store.receive(said("ada"));
    assert.equal(store.unread, 0);
  });

  test("to everyone is counted, not forced open, once Everyone has been closed", () => {
    store.close(store.conversation(EVERYONE));
    store.receive(said("ada"));
    assert.equal(store.conversation(EVERYONE).open, false);
    assert.equal(store.unread, 1);
  });

  test("of a room that one has left opens nothing", () => {
    assert.equal(store.receive(said("ada", { room: "Taskmaster" })), null);
    assert.deepEqual(heard("opened"), ["Everyone"]);
  });

  test("after very many lets the oldest go", () => {
    for (let i = 0; i < KEPT * 2; i++) store.receive(said("ada"));
    const { entries } = store.conversation(EVERYONE);
    assert.ok(entries.length >= KEPT && entries.length < KEPT * 1.5, `${entries.length} kept`);
    assert.equal(entries.at(-1).id, String(serial).padStart(8, "0"));
  });
});

describe("people", () => {
  beforeEach(() => store.welcome(WELCOME));

  test("who come and go change the list and leave a note", () => {
    store.presence({ joined: ["cleo"], left: ["bob"] }, 5);
    assert.deepEqual(store.others, ["ada", "cleo"]);
    assert.deepEqual(store.conversation(EVERYONE).entries, [{ time: 5, joined: ["cleo"], left: ["bob"] }]);
  });

  test("are found under any spelling, badge or none", () => {
    store.presence({ joined: ["Alex*"], left: ["ada"] });
    assert.equal(store.find("ALEX"), "Alex*");
    assert.equal(store.find("Alexa"), undefined);
    assert.equal(store.find("ada"), undefined);
  });

  test("may come by the thousand without holding the page up", () => {
    const start = performance.now();
    for (let batch = 0; batch < 50; batch++) {
      store.presence({ joined: Array.from({ length: 100 }, (_, i) => `guest ${batch * 100 + i}`), left: [] }, batch);
    }
    assert.equal(store.others.length, 5002);
    assert.equal(store.conversation(EVERYONE).entries.length, 1);
    assert.ok(performance.now() - start < 3000, `${performance.now() - start} ms`);
  });

  test("who were here already, and oneself, are no news", () => {
    store.presence({ joined: ["ada", "Sue*"], left: ["nobody"] });
    assert.deepEqual(store.conversation(EVERYONE).entries, []);
  });

  test("who show another spelling give their conversation that title", () => {
    store.open(person("ada"));
    store.presence({ joined: ["Ada"], left: ["ada"] });
    assert.equal(store.conversation(person("ada")).title, "Ada");
    assert.deepEqual(store.conversation(EVERYONE).entries, []);
  });

  test("of a room are the room's own", () => {
    const conversation = store.open(room("Taskmaster"));
    store.members(conversation, ["Sue*"]);
    store.presence({ joined: ["Sandy*"], left: [], room: "Taskmaster" });
    assert.deepEqual(conversation.members, ["Sandy*", "Sue*"]);
    assert.deepEqual(store.others, ["ada", "bob"]);
  });

  test("who type are told to their conversation, oneself not", () => {
    store.open(person("ada"));
    store.typing({ from_user: "ada", to_user: "Sue*" });
    store.typing({ from_user: "Sue*" });
    assert.deepEqual(heard("typing"), ["ada"]);
  });
});

describe("closing", () => {
  beforeEach(() => store.welcome(WELCOME));

  test("a private conversation keeps what was said and written", () => {
    const conversation = store.open(person("ada"));
    store.receive(said("ada", { to_user: "Sue*" }));
    conversation.draft = "half a sentence";
    store.close(conversation);
    const again = store.open(person("ADA"));
    assert.equal(again, conversation);
    assert.equal(again.entries.length, 1);
    assert.equal(again.draft, "half a sentence");
  });

  test("a room forgets it", () => {
    const conversation = store.open(room("Taskmaster"));
    store.close(conversation);
    assert.ok(!store.conversations.has(keyOf(room("Taskmaster"))));
  });
});
