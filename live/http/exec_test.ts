/**
 * The recipe as a whole: a server that replaces itself by `execve`, again and again, under clients that send as
 * awkwardly as they may. Each answer must come, once, on the connection of its request.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";

import { get, until, Wire } from "./wire_test.ts";

const GENERATIONS = 12;

const here = new URL(".", import.meta.url).href;

/** A server of the generation in its arguments, with the descriptors in its arguments. */
const program = `
import { createServer } from "node:http";
import { requestListener } from "${here}fetch_bridge.ts";
import { Conversations } from "${here}conversations.ts";
import { OwnedFd } from "${here}../../sys/owned_fd.ts";
import { setCloexec } from "${here}../../sys/fd.ts";
import { openListener, getsockname } from "${here}../../sys/socket.ts";
import { execve } from "${here}../../sys/exec.ts";

const [abouts, ...numbers] = JSON.parse(Deno.args[2] ?? "[[]]");
const [generation, last] = Deno.args.map(Number);
const fds = numbers.map((fd) => OwnedFd.adopt(fd));
for (const fd of fds) setCloexec(fd.fd, true);
const listener = fds.shift() ?? openListener({ family: "inet", host: "127.0.0.1", port: 0 });

const server = createServer(requestListener(async (request) => {
  const body = await request.text();
  await new Promise((resolve) => setTimeout(resolve, 3));
  return new Response(new URL(request.url).pathname + "|" + body.length + "\\n");
}));
const conversations = new Conversations(server);
conversations.pause();
server.listen({ fd: listener.dup().release() }, () => {
  fds.forEach((fd, at) => conversations.adopt(fd, abouts[at] && { input: Uint8Array.from(abouts[at]) }));
  conversations.resume();
  console.log(JSON.stringify({ generation, port: getsockname(listener.fd).port, adopted: fds.length }));
  if (generation < last) setTimeout(replace, 100);
});

async function replace() {
  conversations.pause();
  do await conversations.settled(); while (conversations.owing > 0);
  const taken = conversations.takeDescriptors();
  const carried = [listener, ...taken.map(({ fd }) => fd)].map(({ fd }) => fd);
  for (const fd of carried) setCloexec(fd, false);
  const exe = Deno.execPath();
  const abouts = taken.map(({ about }) => about?.input && [...about.input]);
  const argv = [exe, "run", "-A", "--no-check", "--quiet", Deno.mainModule, String(generation + 1), String(last)];
  const handed = JSON.stringify([abouts, ...carried]);
  execve(exe, [...argv, handed], Object.entries(Deno.env.toObject()).map(([name, value]) => name + "=" + value));
}
`;

/** Sends a request in pieces of this many bytes. */
async function sendInPieces(wire: Wire, request: string, size: number): Promise<void> {
  for (let at = 0; at < request.length; at += size) {
    await wire.send(request.slice(at, at + size));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function post(path: string, size: number): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n${"x".repeat(size)}`;
}

/** One round of each kind of client: what it asks for, and what must come. */
const KINDS: ((wire: Wire, n: number) => Promise<void>)[] = [
  async (wire, n) => {
    await wire.send(get(`/plain${n}`));
    await wire.receive(`\r\n\r\n/plain${n}|0\n`);
  },
  async (wire, n) => {
    await sendInPieces(wire, get(`/pieces${n}`, "X-Long: " + "y".repeat(40)), 25);
    await wire.receive(`\r\n\r\n/pieces${n}|0\n`);
  },
  async (wire, n) => {
    // Two and a half requests in one piece, then the rest.
    const third = get(`/c${n}`);
    await wire.send(get(`/a${n}`) + get(`/b${n}`) + third.slice(0, 11));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await wire.send(third.slice(11));
    for (const path of ["a", "b", "c"]) await wire.receive(`\r\n\r\n/${path}${n}|0\n`);
  },
  async (wire, n) => {
    await sendInPieces(wire, post(`/body${n}`, 100_000), 10_000);
    await wire.receive(`\r\n\r\n/body${n}|100000\n`);
  },
  async (wire, n) => {
    await wire.send("\r\n");
    await wire.send(get(`/stray${n}`));
    await wire.receive(`\r\n\r\n/stray${n}|0\n`);
  },
];

Deno.test("Conversations fails no request over execve", async () => {
  const folder = Deno.makeTempDirSync();
  const module = `${folder}/server.ts`;
  Deno.writeTextFileSync(module, program);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", module, "0", String(GENERATIONS)],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const seen: { generation: number; port: number; adopted: number }[] = [];
    const lines = child.stdout.pipeThrough(new TextDecoderStream());
    const reading = (async () => {
      let text = "";
      for await (const part of lines) {
        text += part;
        const complete = text.split("\n");
        text = complete.pop() ?? "";
        seen.push(...complete.map((line) => JSON.parse(line)));
      }
    })();
    await until(() => seen.length > 0, "the server");
    const port = seen[0]?.port ?? 0;
    const done = () => seen.length > GENERATIONS;
    const rounds = KINDS.map(() => 0);
    const clients = [...KINDS, ...KINDS].map(async (round, index) => {
      using wire = await Wire.to(port);
      for (let n = 0; !done(); n++) {
        await round(wire, n);
        rounds[index % KINDS.length]! += 1;
      }
      // Nothing came twice, nothing came unasked, and the connection lived through it all.
      assertEquals([wire.text, wire.ended], ["", false]);
    });
    // And new connections all the while.
    clients.push((async () => {
      for (let n = 0; !done(); n++) {
        using wire = await Wire.to(port);
        await wire.ask(`/new${n}`, `/new${n}|0\n`);
      }
    })());
    await Promise.all(clients);
    assertEquals(seen.map((line) => line.generation), [...Array(GENERATIONS + 1).keys()]);
    assert(seen.slice(1).every((line) => line.adopted >= 2 * KINDS.length));
    assert(rounds.every((count) => count > GENERATIONS));
    child.kill("SIGKILL");
    await reading;
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await child.status;
    Deno.removeSync(folder, { recursive: true });
  }
});
