/** The only file that knows Socket.IO: commands out, answers and events in (docs/protocols.md). */

import { io } from "../vendor/socket.io.esm.min.js";

const ANSWER_MS = 10_000;
const OPTIONS = {
  forceNew: true,
  // A WebSocket's end is noticed at once, a page that polled is missed by nobody for a while. No WebTransport, whose
  // failures nobody could catch.
  transports: ["websocket", "polling"],
  tryAllTransports: true,
  timeout: 10_000,
  reconnectionDelay: 500,
  reconnectionDelayMax: 10_000,
  randomizationFactor: 0.5,
};
/** For proxies that let a WebSocket's handshake pass and swallow what follows. */
const POLLING_FIRST = ["polling", "websocket"];
/** Refusals that pass by themselves: one who was in the chat before keeps trying. */
const PASSING = new Set(["degraded", "server-full", "slow-down"]);
/** Who was in for less than this and is sent away again waits longer each time. */
const STABLE_MS = 10_000;
const EVENTS = ["chat_message", "presence", "typing"];

/** The server's no, or its silence: `code` for programs, `message` for people. */
export class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const offline = () => new Refusal("offline", "Not connected just now. Your text is kept.");
const unanswered = () => new Refusal("no-answer", "The server did not answer, so this may not have arrived.");
const hungUp = () => new Refusal("closed", "The server closed the connection before the login was through.");
const unreachable = () => new Refusal("unreachable", "The server cannot be reached. Is it running?");

const SAY = {
  everyone: (_, message) => ["message", { message }],
  person: ({ name }, message) => ["privmsg", { to_user: name, message }],
  room: ({ name }, message) => ["message", { message, room: name }],
};
const TYPE = {
  everyone: () => ({}),
  person: ({ name }) => ({ to_user: name }),
  room: ({ name }) => ({ room: name }),
};

/**
 * One login and its connection, taken up again whenever it is lost.
 *
 * Events, each with `detail`: `welcome`, `chat_message`, `presence`, `typing`, `notice` with their payloads;
 * `lost` (trying again) and `refused` (a Refusal; given up).
 */
export class Wire extends EventTarget {
  #socket = null;
  #credentials = null;
  #welcomed = false;
  #ready = false;
  #polling = false;
  #failures = 0;
  #since = 0;
  #timer = 0;

  #tell(type, detail) {
    this.dispatchEvent(Object.assign(new Event(type), { detail }));
  }

  /** Log in. The credentials stay in memory, for taking up a lost connection. */
  login({ username, password, token }) {
    this.leave();
    this.#credentials = { username, ...(password && { password }), ...(token && { token }) };
    const socket = io(location.origin, { ...OPTIONS, auth: (give) => give(this.#credentials) });
    this.#socket = socket;
    socket.on("welcome", (payload) => this.#entered(payload));
    socket.on("connect_error", (error) => this.#failed(error));
    socket.on("disconnect", (reason) => this.#disconnected(reason));
    socket.on("notice", (payload) => this.#tell("notice", payload));
    for (const event of EVENTS) socket.on(event, (payload) => this.#ready && this.#tell(event, payload));
  }

  /** Close the connection for good; its listeners go first, so that nothing of it is heard again. */
  leave() {
    clearTimeout(this.#timer);
    this.#socket?.off();
    this.#socket?.disconnect();
    this.#socket = this.#credentials = null;
    this.#welcomed = this.#ready = this.#polling = false;
    this.#failures = 0;
  }

  /** Try now instead of at the end of the pause. */
  retry() {
    clearTimeout(this.#timer);
    this.#socket?.connect();
  }

  #entered(payload) {
    this.#credentials.token = payload.token;
    this.#welcomed = this.#ready = true;
    this.#since = Date.now();
    this.#tell("welcome", payload);
  }

  #failed(error) {
    const code = error.data?.code;
    if (error.message === "timeout" && !this.#polling) {
      this.#polling = true;
      this.#socket.io.opts.transports = POLLING_FIRST;
      return; // it tries again by itself
    }
    if (!this.#welcomed) {
      this.#giveUp(code ? new Refusal(code, error.message) : unreachable());
    } else if (PASSING.has(code)) {
      this.#connectLater();
    } else if (code) {
      this.#tell("refused", new Refusal(code, error.message));
    }
  }

  #giveUp(refusal) {
    this.leave();
    this.#tell("refused", refusal);
  }

  #disconnected(reason) {
    if (!this.#welcomed) return this.#giveUp(hungUp());
    this.#ready = false;
    this.#tell("lost", reason);
    if (Date.now() - this.#since > STABLE_MS) this.#failures = 0;
    // The library takes every other loss up again by itself, but not the server's own goodbye.
    if (reason === "io server disconnect") this.#connectLater();
  }

  #connectLater() {
    const pause = Math.min(OPTIONS.reconnectionDelayMax, OPTIONS.reconnectionDelay * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.#socket.connect(), pause * (0.5 + Math.random()));
  }

  async #ask(event, payload) {
    // Unready, the library would keep the message and send it at some later time, unasked.
    if (!this.#ready) throw offline();
    const answer = await this.#socket.timeout(ANSWER_MS).emitWithAck(event, payload).catch(() => {
      throw unanswered();
    });
    if (!answer?.ok) throw new Refusal(answer?.code ?? "bad-message", answer?.message ?? "The server refused this.");
    return answer;
  }

  /** Say something; the answer is `{id, time}`. Rejects with a Refusal. */
  say(target, text) {
    return this.#ask(...SAY[target.kind](target, text));
  }

  /** Enter a room; the answer is `{members, history}`. Rejects with a Refusal. */
  join(name) {
    return this.#ask("join", { room: name });
  }

  /** Leave a room. Rejects with a Refusal. */
  part(name) {
    return this.#ask("part", { room: name });
  }

  /** Hint that one is typing. */
  typing(target) {
    if (this.#ready) this.#socket.emit("typing", TYPE[target.kind](target));
  }
}
