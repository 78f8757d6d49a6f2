/** The connection to the server, and the only file that uses Socket.IO (see docs/protocols.md). */

import { io } from "../vendor/socket.io.esm.min.js";

const ANSWER_MS = 10_000;
const OPTIONS = {
  forceNew: true,
  // WebSocket first, because the server notices its end at once; a client that polls is missed only after a while. No
  // WebTransport, because its failures cannot be caught.
  transports: ["websocket", "polling"],
  tryAllTransports: true,
  timeout: 10_000,
  reconnectionDelay: 500,
  reconnectionDelayMax: 10_000,
  randomizationFactor: 0.5,
};
/** For proxies that forward the handshake of a WebSocket but not what follows. */
const POLLING_FIRST = ["polling", "websocket"];
/** Temporary refusals: a user who was in the chat before keeps trying. */
const PASSING = new Set(["degraded", "server-full", "slow-down"]);
/** The delay before reconnecting grows as long as connections last for less than this. */
const STABLE_MS = 10_000;
const EVENTS = ["chat_message", "presence", "typing"];

/** The server refused a request or did not answer: `code` is for programs, `message` for people. */
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
 * One login and its connection, which reconnects whenever it is lost.
 *
 * Events, each with `detail`: `welcome`, `chat_message`, `presence`, `typing` and `notice` with their payloads; `lost`
 * (it will reconnect) and `refused` (a Refusal; it will not).
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

  /** Log in. The credentials stay in memory, for reconnecting. */
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

  /** Close the connection. Its listeners are removed first, so that no event of it comes later. */
  leave() {
    clearTimeout(this.#timer);
    this.#socket?.off();
    this.#socket?.disconnect();
    this.#socket = this.#credentials = null;
    this.#welcomed = this.#ready = this.#polling = false;
    this.#failures = 0;
  }

  /** Reconnect now instead of after the delay. */
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
      return; // the library tries again by itself
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
    // The library reconnects by itself, except when the server closed the connection on purpose.
    if (reason === "io server disconnect") this.#connectLater();
  }

  #connectLater() {
    const pause = Math.min(OPTIONS.reconnectionDelayMax, OPTIONS.reconnectionDelay * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.#socket.connect(), pause * (0.5 + Math.random()));
  }

  async #ask(event, payload) {
    // While disconnected, the library would queue the message and send it later, without asking the user.
    if (!this.#ready) throw offline();
    const answer = await this.#socket.timeout(ANSWER_MS).emitWithAck(event, payload).catch(() => {
      throw unanswered();
    });
    if (!answer?.ok) throw new Refusal(answer?.code ?? "bad-message", answer?.message ?? "The server refused this.");
    return answer;
  }

  /** Send a text. Resolves to `{id, time}`; rejects with a Refusal. */
  say(target, text) {
    return this.#ask(...SAY[target.kind](target, text));
  }

  /** Enter a room. Resolves to `{members, history}`; rejects with a Refusal. */
  join(name) {
    return this.#ask("join", { room: name });
  }

  /** Leave a room. Rejects with a Refusal. */
  part(name) {
    return this.#ask("part", { room: name });
  }

  /** Tell the others that the user is typing. */
  typing(target) {
    if (this.#ready) this.#socket.emit("typing", TYPE[target.kind](target));
  }
}
