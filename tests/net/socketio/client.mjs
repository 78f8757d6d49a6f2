// One conversation of an official JavaScript client: node client.mjs MODULES PACKAGE URL TRANSPORTS; prints what it saw.
import { createRequire } from "node:module";

const [modules, name, url, transports] = process.argv.slice(2);
const loaded = createRequire(modules + "/")(name);
const io = loaded.io ?? loaded;
const socket = io(url, {
  transports: transports.split(","), auth: { token: "123" }, reconnection: false, forceNew: true,
});
const seen = { transports: [] };

function finish() {
  console.log(JSON.stringify(seen));
  process.exit(0);
}

socket.on("connect_error", (error) => {
  seen.error = String(error.message ?? error);
  finish();
});
socket.on("auth", async (auth) => {
  seen.auth = auth;
  const engine = socket.io.engine;
  seen.transports.push(engine.transport.name);
  if (transports.includes(",") && engine.transport.name === "polling") {
    await new Promise((resolve) => engine.once("upgrade", resolve));
    seen.transports.push(engine.transport.name);
  }
  socket.emit("message-with-ack", "ü", { n: 1 }, (...answer) => {
    seen.ack = answer;
    socket.emit("message", Buffer.from([1, 2, 3]));
  });
});
socket.on("message-back", (data) => {
  seen.binary = [...data];
  socket.on("disconnect", (reason) => {
    seen.disconnect = reason;
    finish();
  });
  socket.emit("leave");
});
