// The chat on Node's own Socket.IO: login in the handshake, presence gathered over 100 ms, messages, private messages.
const { Server } = require("socket.io");

const plain = process.argv[3] === "plain"; // no chat at all: what a connection costs by itself
const io = new Server(Number(process.argv[2]), { transports: ["websocket"], pingInterval: 300_000, serveClient: false });
const people = new Map();
let joined = [], left = [], gathering = false, last = 0;

function presence(list, name) {
  list.push(name);
  if (gathering) return;
  gathering = true;
  setTimeout(() => {
    io.emit("presence", { joined, left });
    joined = [];
    left = [];
    gathering = false;
  }, 100);
}

io.use((socket, next) => {
  const name = String(socket.handshake.auth.username ?? "").trim();
  if (!plain && (!name || people.has(name))) return next(new Error("That name cannot be used."));
  socket.data.name = name;
  next();
});

io.on("connection", (socket) => {
  if (plain) return socket.emit("welcome", {});
  const name = socket.data.name;
  const message = (text, rest) =>
    ({ id: String(++last), time: Date.now(), from_user: name, authenticated: false, text, ...rest });
  people.set(name, socket);
  socket.emit("welcome", { username: name, authenticated: false, users: [...people.keys()], rooms: [] });
  presence(joined, name);
  socket.on("message", (request, acknowledge) => {
    const said = message(request.message);
    io.emit("chat_message", said);
    acknowledge?.({ ok: true, id: said.id, time: said.time });
  });
  socket.on("privmsg", (request, acknowledge) => {
    const told = message(request.message, { to_user: request.to_user });
    people.get(request.to_user)?.emit("chat_message", told);
    acknowledge?.({ ok: people.has(request.to_user), id: told.id, time: told.time });
  });
  socket.on("disconnect", () => {
    people.delete(name);
    presence(left, name);
  });
});
