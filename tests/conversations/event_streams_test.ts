import { assert, assertEquals, assertMatch } from "@std/assert";
import { EventSource } from "npm:eventsource@4.1.0";
import {
  descriptors,
  freePort,
  startApp,
  type StartOptions,
  type TestApp,
  waitFor,
} from "../../testing/mod.ts";
import {
  Curl,
  EventReader,
  eventsText,
  eventStreamsApp,
  type EventStreamsAppParts,
  PATIENCE_MS,
  RawClient,
} from "./_event_streams_app.ts";
import { type Builds, builds, Client, onlyForReal, untilQuiescing } from "../update/_fixtures.ts";

/** The application, and a client that tells it what to do. */
interface Feed extends AsyncDisposable {
  readonly app: TestApp;
  readonly web: number;
  readonly plain: number;
  readonly client: Client;
  /** Name, next number, `resumed` and what waits of each stream. */
  streams(): Promise<[string, number, boolean, number][]>;
  upgrade(build: string): Promise<void>;
}

async function startFeed(
  all: Builds,
  parts: EventStreamsAppParts = {},
  options: Partial<StartOptions> = {},
): Promise<Feed> {
  await using undo = new AsyncDisposableStack();
  const [web, plain] = [freePort(), freePort()];
  const entry = await all.write("first", eventStreamsApp(parts));
  const app = undo.use(await startApp({ ...options, entry, args: [String(web), String(plain)] }));
  const client = undo.use(await Client.open(web));
  const kept = undo.move();
  return {
    app,
    web,
    plain,
    client,
    streams: async () => JSON.parse(await client.text("/streams")),
    async upgrade(build) {
      const record = await app.upgrade({ build });
      assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** How many sockets a process has open. */
function socketsOf(pid: number): number {
  const dir = `/proc/${pid}/fd`;
  return [...Deno.readDirSync(dir)].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`${dir}/${name}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

function get(path: string, version = "1.1"): string {
  return `GET ${path} HTTP/${version}\r\nhost: x\r\n\r\n`;
}

Deno.test("streams go on through updates: curl, EventSource and a client that looks at each byte", async () => {
  await using all = builds();
  await using feed = await startFeed(all);
  const second = await all.write("second", eventStreamsApp({ label: "v2" }));
  const failing = await all.write(
    "failing",
    eventStreamsApp({
      // What a build that fails has said nobody may hear.
      opening: 'if (!live.checking) stream.send({ data: "from a build that fails" });',
      ready: onlyForReal('send(5);\nthrow new Error("not today");') + "\nawait live.ready();",
    }),
  );
  const sockets = socketsOf(feed.app.pid);
  await using clients = new AsyncDisposableStack();
  const raw = clients.use(await RawClient.open(feed.web, get("/events?raw")));
  const old = clients.use(await RawClient.open(feed.plain, get("/attached?old", "1.0")));
  const curl = await Curl.isThere()
    ? clients.use(new Curl(`http://127.0.0.1:${feed.web}/events?curl`))
    : null;
  if (curl === null) console.log("without curl: it is not installed");
  const heard: string[] = [];
  const faults: unknown[] = [];
  const source = new EventSource(`http://127.0.0.1:${feed.plain}/attached?source`);
  clients.defer(() => source.close());
  source.onmessage = ({ data, lastEventId }) => heard.push(`${lastEventId} ${data}`);
  source.onerror = (event) => faults.push(event);
  const count = curl === null ? 3 : 4;
  await waitFor(async () => (await feed.streams()).length === count, { what: "all streams" });
  const [rawReader, oldReader] = [new EventReader(true), new EventReader(true)];

  assertEquals(await feed.client.text("/run"), "runs");
  const { pid } = feed.app;
  for (const build of [second, failing, second, second]) {
    const before = rawReader.count;
    const update = feed.app.upgrade({ build });
    await raw.readTo(rawReader, before + 20);
    const { outcome, reason } = await update;
    assertEquals(outcome, build === failing ? "rolled-back" : "committed", reason ?? "");
    await raw.readTo(rawReader, rawReader.count + 20);
    await old.readTo(oldReader, rawReader.count);
  }
  const status = await feed.app.status();
  assertEquals([status.pid, status.generation], [pid, 3]);
  assertEquals(await feed.client.text("/stop"), "stopped");
  const streams = await feed.streams();
  assertEquals(streams.map(([name, , resumed]) => [name, resumed]).sort(), [
    ...curl === null ? [] : [["curl", true]],
    ["old", true],
    ["raw", true],
    ["source", true],
  ]);
  const sent = Object.fromEntries(streams.map(([name, next]) => [name, next - 1]));
  await raw.readTo(rawReader, sent["raw"]!);
  await old.readTo(oldReader, sent["old"]!);
  await curl?.readTo(sent["curl"]!);
  await waitFor(() => heard.length >= sent["source"]!, { what: "EventSource", timeoutMs: PATIENCE_MS });
  assertEquals(heard, Array.from({ length: sent["source"]! }, (_, index) => `${index + 1} ${index + 1}:`));
  assertEquals(faults, []);
  for (const { head } of [rawReader, oldReader]) {
    assertMatch(head, /^HTTP\/1\.1 200 OK\r\n/);
    assertMatch(head, /\r\nconnection: close\r\n/i);
    assertEquals(/transfer-encoding|content-length/i.test(head), false);
  }

  // The application ends them, after all that.
  source.close();
  for (const name of ["raw", "old", "curl"]) await feed.client.text(`/close?${name}`);
  assertEquals([await raw.readAll(), await old.readAll(), await curl?.end()], [
    "",
    "",
    curl === null ? undefined : 0,
  ]);
  raw[Symbol.dispose]();
  old[Symbol.dispose]();
  await waitFor(async () => (await feed.streams()).length === 0, { what: "all streams to end" });
  await waitFor(() => socketsOf(pid) === sockets, { what: `as many sockets as before, ${sockets}` });
});

Deno.test("what a slow reader has not read crosses, and comes to the byte", async () => {
  await using all = builds();
  await using feed = await startFeed(all);
  const second = await all.write("second", eventStreamsApp({ label: "v2" }));
  using slow = await RawClient.open(feed.web, get("/events?slow"));
  using ending = await RawClient.open(feed.plain, get("/attached?ending"));
  await waitFor(async () => (await feed.streams()).length === 2, { what: "both streams" });
  await feed.client.text("/send?100-100000");
  for (const [, , , queued] of await feed.streams()) assert(queued > 1_000_000, `${queued} bytes wait`);
  await feed.client.text("/close?ending");
  await feed.upgrade(second);
  const [[name, next, resumed, queued]] = await feed.streams() as [[string, number, boolean, number]];
  assertEquals([name, next, resumed], ["slow", 101, true]);
  assert(queued > 1_000_000);
  await feed.client.text("/send?10-100000");
  await feed.upgrade(second);
  await feed.client.text("/send?10-100000");
  await feed.client.text("/close?slow");
  await feed.upgrade(second);
  assertEquals(await feed.streams(), []);
  const [one, other] = await Promise.all([slow.readAll(), ending.readAll()]);
  assert(one.endsWith(`\r\n\r\n${eventsText(1, 120, 100_000)}`), "all that was sent, once, in order");
  assert(other.endsWith(`\r\n\r\n${eventsText(1, 100, 100_000)}`), "the same for one that was ending");
});

Deno.test("clients that leave during an update are forgotten, others come, and nobody else notices", async () => {
  await using all = builds();
  await using feed = await startFeed(all);
  const second = await all.write(
    "second",
    eventStreamsApp({
      label: "v2",
      ready:
        `await new Promise((resolve) => setTimeout(resolve, live.checking ? 0 : 100));\nawait live.ready();`,
    }),
  );
  using stays = await RawClient.open(feed.web, get("/events?stays"));
  const leaving: RawClient[] = [];
  for (let count = 0; count < 20; count++) {
    leaving.push(await RawClient.open(feed.web, get(`/events?leaves${count}`)));
  }
  await waitFor(async () => (await feed.streams()).length === 21, { what: "all streams" });
  await feed.client.text("/run");
  const reader = new EventReader(true);
  await stays.readTo(reader, 10);
  const update = feed.app.upgrade({ build: second });
  for (const client of leaving.slice(0, 10)) client[Symbol.dispose]();
  await untilQuiescing(feed.app);
  for (const client of leaving.slice(10)) client[Symbol.dispose]();
  using comes = await RawClient.open(feed.web, get("/events?comes"));
  assertEquals((await update).outcome, "committed");
  await stays.readTo(reader, reader.count + 10);
  await comes.readTo(new EventReader(true), 10);
  await waitFor(async () => (await feed.streams()).length === 2, {
    what: "those to be forgotten who have left",
  });
  assertEquals((await feed.streams()).map(([name]) => name), ["stays", "comes"]);
});

Deno.test("what clients of streams say, in any phase, is heard by nobody; who has finished has left", async () => {
  await using all = builds();
  await using feed = await startFeed(all);
  const gate = `${all.path}/gate`;
  const second = await all.write(
    "second",
    eventStreamsApp({
      label: "v2",
      ready: onlyForReal(`console.log("booting");
for (;;) {
  try { Deno.statSync("${gate}"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 5)); }
}`) + "\nawait live.ready();",
    }),
  );
  const says = {
    garbage: "\x00\xff what?\r\n\r\n",
    request: get("/close?others"),
    flood: "x".repeat(300_000),
  };
  using clients = new DisposableStack();
  const readers: [RawClient, EventReader][] = [];
  const finishing: RawClient[] = [];
  const phases = ["serving", "quiescing", "booting"] as const;
  for (const phase of phases) {
    for (const name of Object.keys(says)) {
      const client = clients.use(await RawClient.open(feed.web, get(`/events?${phase}-${name}`)));
      readers.push([client, new EventReader(true)]);
    }
    finishing.push(clients.use(await RawClient.open(feed.web, get(`/events?${phase}-finishes`))));
  }
  using others = await RawClient.open(feed.web, get("/events?others"));
  readers.push([others, new EventReader(true)]);
  await waitFor(async () => (await feed.streams()).length === 13, { what: "all streams" });
  const act = async (phase: number): Promise<void> => {
    const [first, second, third] = readers.slice(3 * phase, 3 * phase + 3);
    // What nobody reads may not fit into the buffers.
    await first![0].send(says.garbage);
    await second![0].send(says.request);
    third![0].send(says.flood).catch(() => {});
    await finishing[phase]!.finish();
  };
  await feed.client.text("/send?3-0");
  await act(0);
  await waitFor(async () => (await feed.streams()).length === 12, { what: "the first to be forgotten" });
  const update = feed.app.upgrade({ build: second });
  await untilQuiescing(feed.app);
  await act(1);
  await waitFor(() => feed.app.output().stdout.includes("booting"), { what: "the new build" });
  await act(2);
  await Deno.writeTextFile(gate, "");
  assertEquals((await update).outcome, "committed");
  await waitFor(async () => (await feed.streams()).length === 10, { what: "the others to be forgotten" });
  await feed.client.text("/send?3-0");
  for (const [client, reader] of readers) await client.readTo(reader, 6);
  assertEquals((await feed.streams()).every(([, next, resumed]) => next === 7 && resumed), true);
  for (const client of finishing) {
    assertEquals(/\ndata: (?:[456]):/.test(await client.readAll()), false);
  }
});

Deno.test("an update that cannot save or load the state of a stream is refused by name, and the stream goes on", async () => {
  await using all = builds();
  await using feed = await startFeed(all);
  const newer = await all.write(
    "newer",
    eventStreamsApp({
      options:
        "version: 2, load: (state, version) => ({ ...state, next: state.next + (version === 1 ? 100 : 0) }),",
    }),
  );
  const foreign = await all.write("foreign", eventStreamsApp({ options: "version: 9, reads: [9, 9]," }));
  const broken = await all.write(
    "broken",
    eventStreamsApp({ options: 'load() { throw new Error("no such state"); },' }),
  );
  const unsaved = await all.write(
    "unsaved",
    eventStreamsApp({ options: "version: 2,", opening: "if (resumed) stream.state.callback = () => {};" }),
  );
  using client = await RawClient.open(feed.web, get("/events?x"));
  await waitFor(async () => (await feed.streams()).length === 1, { what: "the stream" });
  await feed.client.text("/send?5-0");
  const reader = new EventReader(true);
  await client.readTo(reader, 5);
  for (
    const [build, reason] of [[foreign, /version 1, this build reads 9 to 9/], [
      broken,
      /no such state/,
    ]] as const
  ) {
    const record = await feed.app.upgrade({ build });
    assertEquals(record.outcome, "refused");
    assertMatch(record.reason ?? "", reason);
    await feed.client.text("/send?1-0");
    await client.readTo(reader, reader.count + 1);
  }
  await feed.upgrade(newer);
  assertEquals(
    await feed.streams(),
    [["x", 108, true, 0]],
    "the state was loaded once, by what knows its version",
  );
  await feed.upgrade(unsaved);
  const record = await feed.app.upgrade({ build: newer });
  assertEquals(record.outcome, "refused");
  assertMatch(
    record.reason ?? "",
    /Cannot save the state of a connection of "feed" \(127\.0\.0\.1 port \d+\)/,
  );
  await feed.client.text("/send?1-0");
  assertEquals(await client.read(), "id: 108\ndata: 108:\n\n");
});

Deno.test("a stream counts once where an update looks for room for descriptors", async () => {
  const limit = 256;
  const prefix = ["sh", "-c", `ulimit -n ${limit} && exec "$@"`, "sh"];
  await using all = builds();
  await using feed = await startFeed(all, {}, { prefix });
  using clients = new DisposableStack();
  const open = async (count: number): Promise<void> => {
    const before = (await feed.streams()).length;
    for (let index = 0; index < count; index++) {
      clients.use(await RawClient.open(feed.web, get(`/events?${before + index}`)));
    }
    await waitFor(async () => (await feed.streams()).length === before + count, { what: "all streams" });
  };
  // Each has two descriptors and needs one more; 64 are for the runtime. Counted twice, they would need four.
  const free = limit - descriptors(feed.app.pid).length - 64;
  const room = Math.floor(free / 3) - 4;
  assert(room > 20, `${free} descriptors are free`);
  await open(room);
  await feed.upgrade(await all.write("second", eventStreamsApp({ label: "v2" })));
  await feed.client.text("/send?1-1");
  // A few more, and there is no room.
  await open(10);
  const { outcome, reason } = await feed.app.upgrade();
  assertEquals(outcome, "refused");
  assertMatch(
    reason ?? "",
    /^Cannot update: \d+ descriptors are needed, the limit \(RLIMIT_NOFILE\) is 256$/,
  );
  assertEquals((await feed.streams()).length, room + 10);
});
