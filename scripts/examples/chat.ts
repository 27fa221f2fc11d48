/**
 * A chat whose members notice nothing of an upgrade: each keeps its connection, its name, and its place in the history.
 *
 * ```sh
 * deno task heirloom run scripts/examples/chat.ts 8080     # then open http://127.0.0.1:8080/ in two windows
 * deno task heirloom upgrade                               # in another terminal, while they talk
 * ```
 *
 * An application of its own imports "heirloom" instead of a path.
 *
 * @module
 */
import * as ws from "npm:ws@8.23.0";
import { open } from "../../mod.ts";

/** One line of the conversation. */
interface Line {
  id: number;
  name: string;
  text: string;
}

/** What is kept about a member: a name, and the last line that was sent to it. */
interface Member {
  name: string;
  seen: number;
}

/** Who comes gets so many lines of what was said before. */
const HISTORY_LINES = 100;

const LONGEST_NAME = 30;

const live = await open();

let history: Line[] = [];
live.state("history", {
  version: 1,
  save: () => history.map((line) => ({ ...line })),
  load: (value) => void (history = value as unknown as Line[]),
});

const members = await live.webSockets<Member>("members", ws, {
  maxPayload: 10_000,
  heartbeatMs: 30_000,
  open({ socket, state }, resumed) {
    socket.on("message", (data) => say(state.name, `${data}`));
    socket.on("close", () => say("*", `${state.name} leaves`));
    // Members of the previous build have heard everything before.
    if (!resumed) say("*", `${state.name} comes`);
  },
});

/** Adds a line, and sends everybody what they have not seen. */
function say(name: string, text: string): void {
  history.push({ id: (history.at(-1)?.id ?? 0) + 1, name, text });
  history = history.slice(-HISTORY_LINES);
  for (const { socket, state } of members) {
    for (const line of history) {
      if (line.id > state.seen) socket.send(JSON.stringify(line));
    }
    state.seen = history.at(-1)?.id ?? 0;
  }
}

const PAGE = `<!doctype html>
<meta charset="utf-8"><title>Chat</title>
<ol id="lines"></ol><form><input id="text" autocomplete="off" autofocus></form>
<script>
  const name = prompt("Your name?") || "somebody";
  const socket = new WebSocket("ws://" + location.host + "/ws?name=" + encodeURIComponent(name));
  socket.onmessage = ({ data }) => {
    const { id, name, text } = JSON.parse(data);
    const item = document.createElement("li");
    item.value = id;
    item.textContent = name + ": " + text;
    lines.append(item);
  };
  socket.onclose = ({ code }) => lines.append("closed with " + code);
  document.forms[0].onsubmit = () => (socket.send(text.value), text.value = "", false);
</script>
`;

const address = { hostname: "127.0.0.1", port: Number(Deno.args[0] ?? 8080) };
await live.serve("web", address, (request) => {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/ws") {
    const name = (searchParams.get("name") ?? "").slice(0, LONGEST_NAME) || "somebody";
    return members.upgrade(request, { name, seen: 0 });
  }
  if (pathname !== "/") return new Response("Not Found\n", { status: 404 });
  return new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
});

await live.ready();
