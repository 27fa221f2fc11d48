import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

import { getFlags, O_DIRECT, type OwnedFd, read, setFlags, write } from "../../sys/mod.ts";
import { bytesWaiting, makeFifo, openFifo, pipeCapacity } from "../../sys/pipe.ts";
import { tempDir, type TestApp, waitFor } from "../../testing/mod.ts";
import { builds, LIBRARY, READY_IN_CHECK } from "../update/_fixtures.ts";
import { carries, descriptorOf, running, textOf } from "./_kit.ts";

const PATIENCE = { timeoutMs: 30_000 };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An end of a pipe of the service, opened by this process, nonblocking. */
async function openEnd(app: TestApp, name: string, access: "read" | "write"): Promise<OwnedFd> {
  const { fd, flags } = await descriptorOf(app, name);
  const both = { read: access === "read", write: access === "write" };
  const own = openFifo(`/proc/${app.pid}/fd/${fd}`, both);
  setFlags(own.fd, getFlags(own.fd) | (flags & O_DIRECT));
  return own;
}

/** What came out with each call, until nothing was there. */
function drain(fd: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  while (bytesWaiting(fd) > 0) {
    const buffer = new Uint8Array(1_000_000);
    chunks.push(buffer.slice(0, read(fd, buffer)));
  }
  return chunks;
}

/** Bytes that nobody takes for others. */
const FULL = new Uint8Array(65_536).map((_, index) => (index * 31 + (index >> 8)) % 256);

/** What waits in which pipe, one entry for each call of write(2). */
const CONTENT: Readonly<Record<string, Uint8Array[]>> = {
  plain: [encoder.encode("a few bytes, and a zero\0")],
  full: [FULL],
  packets: ["one", "two and a half", "three"].map((text) => encoder.encode(text)),
  gone: [encoder.encode("a FIFO without a path")],
};

/** The name behind which the end for writing is; a FIFO that is read and written has only one. */
function writeName(name: string): string {
  return name === "gone" ? name : `${name}#write`;
}

async function fill(app: TestApp, name: string): Promise<void> {
  using end = await openEnd(app, writeName(name), "write");
  for (const bytes of CONTENT[name] ?? []) assertEquals(write(end.fd, bytes), bytes.byteLength);
}

const USE = `const pipes = {
  plain: await live.pipe("plain"),
  full: await live.pipe("full"),
  packets: await live.pipe("packets", { packets: true, capacityBytes: 16384 }),
  gone: await live.pipe("gone", { path: Deno.args[1], create: true, read: true, write: true }),
};`;

const ROUTES = `  if (path === "/read") return new Response(pipes[query.get("name")].read());
  if (path === "/path") return new Response(pipes[query.get("name")].path);`;

Deno.test("pipes keep every byte, full, in packets, and without a path, seen from outside", async (t) => {
  await using dir = tempDir();
  const fifo = `${dir.path}/fifo`;
  await carries(t, {
    use: USE,
    routes: ROUTES,
    args: [fifo],
    async prepare({ app }) {
      for (const name of Object.keys(CONTENT)) await fill(app, name);
      await Deno.remove(fifo);
    },
    async look({ app, ask }) {
      const seen = [];
      for (const name of Object.keys(CONTENT)) {
        const { link, flags } = await descriptorOf(app, name);
        const other = await descriptorOf(app, writeName(name));
        using end = await openEnd(app, name, "read");
        const { fd } = end;
        seen.push([name, link, flags, other.link, other.flags, bytesWaiting(fd), pipeCapacity(fd)]);
      }
      return [...seen, await ask("/path?name=gone")];
    },
    async works({ app, port }) {
      for (const [name, content] of Object.entries(CONTENT)) {
        // Half of the time the service reads, and half of the time somebody else does.
        for (const bytes of content) {
          const answer = await fetch(`http://127.0.0.1:${port}/read?name=${name}`);
          assertEquals(await answer.bytes(), bytes, name);
        }
        await fill(app, name);
        using end = await openEnd(app, name, "read");
        assertEquals(drain(end.fd), content);
        await fill(app, name);
      }
    },
  });
});

/** A program that this test starts, and ends. */
function started(script: string, ...args: string[]): Deno.ChildProcess & AsyncDisposable {
  const child = new Deno.Command("/bin/sh", { args: ["-c", script, "sh", ...args], stdin: "null" }).spawn();
  return Object.assign(child, {
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await child.status;
    },
  });
}

/** Reads a FIFO into a file, which the first look makes. */
const READS = `const out = await live.file("out", Deno.args[2], { append: true, create: true });
await live.pipe("in", {
  path: Deno.args[1],
  create: true,
  data: (bytes) => out.write(bytes),
  end: () => out.write("end\\n"),
});`;

function countingTo(last: number): string {
  return Array.from({ length: last + 1 }, (_, at) => `${at}\n`).join("");
}

Deno.test("who writes into a FIFO all the time loses and repeats nothing", async (t) => {
  await using dir = tempDir();
  const [fifo, out, stop] = ["fifo", "out", "stop"].map((name) => `${dir.path}/${name}`) as [
    string,
    string,
    string,
  ];
  const writing = 'exec >"$1"; i=0; while [ ! -e "$2" ]; do echo $i; i=$((i+1)); done; echo $i';
  makeFifo(fifo);
  await using writer = started(writing, fifo, stop);
  let lines = 0;
  const goesOn = async (): Promise<void> => {
    lines = textOf(out).length;
    await waitFor(() => textOf(out).length > lines + 1000, { what: "more lines", ...PATIENCE });
  };
  await carries(t, {
    use: READS,
    args: [fifo, out],
    prepare: goesOn,
    look: async ({ app }) => (await descriptorOf(app, "in")).link,
    works: goesOn,
  });
  // The service has been ended by now: what it has not read any more is in nobody's file.
  const found = textOf(out).replace(/[^\n]*$/, "");
  assert(found === countingTo(found.split("\n").length - 2), "not every line is there once, in order");
  await Deno.writeTextFile(stop, "");
  await writer.status;
});

Deno.test("writers of a FIFO come and go across updates, and are heard to the end", async (t) => {
  await using dir = tempDir();
  const [fifo, out] = [`${dir.path}/fifo`, `${dir.path}/out`];
  makeFifo(fifo);
  let expected = "";
  const visit = async (words: string): Promise<void> => {
    await using visitor = started('echo "$2" >"$1"', fifo, words);
    assertEquals((await visitor.status).code, 0);
    expected += `${words}\nend\n`;
    await waitFor(() => textOf(out) === expected, { what: `"${words}" and the end`, ...PATIENCE });
  };
  await carries(t, {
    use: READS,
    args: [fifo, out],
    prepare: () => visit("hello"),
    look: async ({ app }) => (await descriptorOf(app, "in")).link,
    works: (_, outcome) => visit(`${outcome}`),
  });
  assertEquals(textOf(out), expected);
});

/** Writes a number as often as there is room, and goes on with the next. */
const WRITES = `const numbers = await live.pipe("numbers", { path: Deno.args[1], write: true });
let next = 0;
live.state("next", { version: 1, save: () => next, load: (value) => void (next = Number(value)) });
const write = () => {
  for (let turn = 0; turn < 50; turn++) next += numbers.write(new TextEncoder().encode(next + "\\n")) > 0 ? 1 : 0;
};
if (!live.checking) setInterval(write, 1);`;

Deno.test("who reads what the service writes all the time misses nothing", async (t) => {
  await using dir = tempDir();
  const [fifo, out] = [`${dir.path}/fifo`, `${dir.path}/out`];
  makeFifo(fifo);
  // Who is there from the beginning, so that the service can open it; it reads nothing.
  using _waiting = openFifo(fifo, { read: true, write: false });
  await using _reader = started('exec cat "$1" >"$2"', fifo, out);
  let length = 0;
  const goesOn = async (): Promise<void> => {
    length = textOf(out).length;
    await waitFor(() => textOf(out).length > length + 1000, { what: "more numbers", ...PATIENCE });
  };
  await carries(t, {
    use: WRITES,
    args: [fifo],
    prepare: goesOn,
    look: async ({ app }) => (await descriptorOf(app, "numbers")).link,
    works: goesOn,
  });
  const found = textOf(out).replace(/[^\n]*$/, "");
  assert(found === countingTo(found.split("\n").length - 2), "not every number is there once, in order");
});

Deno.test("an update waits for what is still to be written, and for promises of data", async () => {
  await using dir = tempDir();
  const fifo = `${dir.path}/fifo`;
  const use = `const gate = Promise.withResolvers();
const pipe = await live.pipe("p", { data: () => gate.promise, overdue: "refuse" });
const out = await live.pipe("out", { path: "${fifo}", create: true, read: true, write: true });
`;
  const routes = `  if (path === "/data") return new Response(String(pipe.write(new Uint8Array(1))));
  if (path === "/open") return gate.resolve(), new Response();
  if (path === "/long") return void out.writeAll(new Uint8Array(100_000)), new Response();`;
  const parts = { use, routes, options: "{ quiesceTimeoutMs: 300 }" };
  const next = { ...parts, label: "v2" };
  await using service = await running(parts);
  const { ask } = service;
  await ask("/data");
  await service.refuses(next, /"p"|"out"/);
  await ask("/open");
  await ask("/long");
  await service.refuses(next, /"p"|"out"/);
  using reader = openFifo(fifo, { read: true, write: false });
  let found = 0;
  await waitFor(() => {
    for (const chunk of drain(reader.fd)) found += chunk.byteLength;
    return found === 100_000;
  }, { what: "all that was to be written", ...PATIENCE });
  await service.commits(next);
  assertEquals(await ask("/"), "v2");
});

Deno.test("what a build cannot have, or does wrong, harms no pipe", async (t) => {
  await using dir = tempDir();
  const fifo = `${dir.path}/fifo`;
  makeFifo(fifo);
  const before = `import { OwnedFd } from "${LIBRARY}";`;
  const use = 'const pipe = await live.pipe("p");';
  const routes = `  if (path === "/read") return new Response(pipe.read());
  if (path === "/forget") return OwnedFd.adopt(pipe.readFd)[Symbol.dispose](), new Response();
  if (path === "/close") return await pipe.close(), new Response();
  if (path === "/closeRead") return await pipe.closeRead(), new Response();
  if (path === "/fds") return Response.json([pipe.readFd >= 0, pipe.writeFd >= 0]);`;
  const parts = { before, use, routes };
  await using service = await running(parts);
  const { app, ask } = service;
  let generation = 0;
  const put = async (words: string): Promise<void> => {
    using end = await openEnd(app, "p#write", "write");
    write(end.fd, encoder.encode(words));
  };
  const update = async (): Promise<void> => {
    const label = `good-${++generation}`;
    await service.commits({ ...parts, label });
    assertEquals(await ask("/"), label);
  };
  const bad: [name: string, use: string, outcome: "refused" | "rolled-back", reason: string][] = [
    ["another kind", 'await live.directory("p", "/");', "refused", "handed over as a pipe"],
    [
      "another kind of pipe",
      `await live.pipe("p", { path: "${fifo}" });`,
      "rolled-back",
      "handed over as a pipe without a path",
    ],
    [
      "a FIFO that nobody reads",
      `${use} await live.pipe("q", { path: "${fifo}", write: true });`,
      "rolled-back",
      "nobody reads it",
    ],
    [
      "no FIFO at all",
      `${use} await live.pipe("q", { path: "/etc/passwd" });`,
      "refused",
      "it is a regular file",
    ],
    ["nothing there", `${use} await live.pipe("q", { path: "${fifo}2" });`, "refused", "there is none"],
    [
      "one end under two names",
      `${use}\n${READY_IN_CHECK}await live.inherit("q", () => OwnedFd.adopt(pipe.writeFd).dup());`,
      "rolled-back",
      "the same resource is held already",
    ],
    ["the same name twice", `${use} await live.pipe("p");`, "refused", "in use"],
  ];
  for (const [name, wrong, outcome, reason] of bad) {
    await t.step(name, async () => {
      await put(`${name}`);
      const record = await service.ends(outcome, { before, use: wrong, label: "bad" });
      assertStringIncludes(record.reason ?? "", reason);
      await update();
      assertEquals(await ask("/read"), name);
    });
  }
  await t.step("a build that only keeps it", async () => {
    await put("kept");
    const { dropped } = await service.commits({ before, use: 'live.keep("p");', label: "keeps" });
    assertEquals(dropped, []);
    await update();
    assertEquals(await ask("/read"), "kept");
  });
  await t.step("an end that was closed behind our back", async () => {
    await put("still there");
    await ask("/forget");
    await update();
    assertEquals(await ask("/read"), "still there");
  });
  await t.step("only the end for writing", async () => {
    using reader = await openEnd(app, "p", "read");
    await ask("/closeRead");
    await put("to another reader");
    await update();
    assertEquals(await ask("/fds"), "[false,true]");
    assertEquals(drain(reader.fd).map((chunk) => decoder.decode(chunk)), ["to another reader"]);
    await ask("/close");
    assertEquals(read(reader.fd, new Uint8Array(1)), 0, "nobody holds the end for writing any more");
  });
  await t.step("no end at all", async () => {
    await update();
    assertEquals(await ask("/fds"), "[true,true]");
    await put("a new pipe");
    await update();
    assertEquals(await ask("/read"), "a new pipe");
  });
});

Deno.test("with HEIRLOOM=off a pipe and a directory do as ever", async () => {
  await using all = builds();
  const entry = await all.write(
    "off",
    `import { open } from "${LIBRARY}";
const live = await open();
const directory = await live.directory("d", import.meta.dirname);
const pipe = await live.pipe("p", {
  data: (bytes) => console.log(new TextDecoder().decode(bytes), directory.list().join(), directory.path),
  end: async () => { await pipe.close(); console.log("end"); },
});
await live.ready();
await pipe.writeAll(new TextEncoder().encode("hello"));
await pipe.closeWrite();
`,
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", entry],
    env: { HEIRLOOM: "off" },
    stdin: "null",
  }).output();
  assertEquals([code, decoder.decode(stderr)], [0, ""]);
  assertMatch(decoder.decode(stdout), /^hello \S*main\.ts\S* same\nend\n$/);
});
