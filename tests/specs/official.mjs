// The official client, refused twice and then let in: node official.mjs MODULES URL WAY NAME PASSWORD
// prints "in" when it is, and in the end all it has heard. WAY: auth (of the handshake) or connected (the event).
import { createRequire } from "node:module";

const [modules, url, way, username, password] = process.argv.slice(2);
const { io } = createRequire(modules + "/")("socket.io-client");
const credentials = () => ({ username, password: refused < 2 ? "wrong" : password });
const seen = { sids: [], refusals: [], heard: [] };
let refused = 0;

const socket = io(url, { auth: way === "auth" ? (give) => give(credentials()) : {}, reconnection: false });

function again(code) {
  refused += 1;
  seen.refusals.push(code);
  if (refused > 2) process.exit(1);
}

socket.on("connect_error", ({ data }) => {
  again(data?.code);
  socket.connect();
});
socket.on("connect", () => {
  seen.sids.push(socket.id);
  if (way === "connected") socket.emit("connected", credentials(), ({ ok, code }) => ok || again(code));
});
socket.on("disconnect", () => socket.connect());
socket.on("welcome", () => socket.emit("message", { message: "mine" }, () => console.log("in")));
socket.on("chat_message", ({ text }) => {
  seen.heard.push(text);
  if (text !== "the end") return;
  console.log(JSON.stringify(seen));
  process.exit(0);
});
