/* global io */

const connection = document.querySelector("#connection");
const composer = document.querySelector("#composer");
const line = document.querySelector("#line");
const state = document.querySelector("#state");
const messages = document.querySelector("#messages");
let socket;
let userId;

connection.addEventListener("submit", (event) => {
  event.preventDefault();
  socket?.disconnect();
  const { namespace, ...fields } = Object.fromEntries(new FormData(connection));
  const query = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
  socket = listen(io(namespace, { query, forceNew: true }));
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  say(line.value);
  line.value = "";
});

function listen(socket) {
  show("connecting …");
  return socket
    .on("connect", () => show(`connected as ${socket.id}`, true))
    .on("connect_error", (error) => show(`turned away: ${error.message}`))
    .on("disconnect", (reason) => show(`disconnected: ${reason}`))
    .on("res", (message) => {
      if (message.text === "connected!") userId = message.userId;
      const where = message.room === null ? "" : ` in ${message.room}`;
      add(`${message.userId}${where}: ${message.text}`, message.state, message.userId === userId);
    })
    .on("reply", (text) => add(text, "notice"))
    .on("bye", (context) => add(`bye; the last message was ${context?.text ?? "none"}`, "notice"));
}

/** `join R`, `leave R`, `notice T` and `bye` are events; any other line is a chat. */
function say(text) {
  const [, command, rest] = text.match(/^(join|leave|notice|bye)(?: (.*))?$/s) ?? [text, "chat", text];
  const args = command === "bye" ? [] : [rest ?? ""];
  socket.emit(command, ...args, (reply) => {
    if (reply?.error) add(reply.error.message, "error");
  });
}

function show(text, connected = false) {
  state.textContent = text;
  for (const control of composer.elements) control.disabled = !connected;
  if (connected) line.focus();
}

function add(text, kind, own = false) {
  const item = document.createElement("li");
  item.className = own ? `${kind} own` : kind;
  item.textContent = text;
  messages.append(item);
  item.scrollIntoView();
}
