import { assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../../testing/mod.ts";
import { LIBRARY, onlyForReal } from "../update/_fixtures.ts";
import { startHttp } from "./_http_app.ts";
import { complaints, concludes, reference } from "./_http_exact.ts";
import { Peer } from "./_peer.ts";

const HOST = "host: example.org\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const UPLOAD = `POST /echo HTTP/1.1\r\n${HOST}content-length: 10\r\n\r\n0123`;

/** Connections that owe something for ever, and one that owes nothing. */
async function owing(
  connect: () => Promise<Peer>,
  held: DisposableStack,
): Promise<{ late: Peer[]; idle: Peer }> {
  const idle = held.use(await connect());
  idle.send(GET.slice(0, 20));
  const late: Peer[] = [];
  const never = "/there/is/no/such/file";
  for (
    const request of [
      `GET /gated?file=${never} HTTP/1.1\r\n${HOST}\r\n`,
      `GET /halves?file=${never} HTTP/1.1\r\n${HOST}\r\n`,
      `GET /gated?file=${never} HTTP/1.1\r\n${HOST}\r\n${GET}${GET}`,
      UPLOAD,
    ]
  ) {
    const peer = held.use(await connect());
    peer.send(request);
    late.push(peer);
  }
  const slow = held.use(await connect());
  slow.hold();
  slow.send(`GET /big HTTP/1.1\r\n${HOST}\r\n`);
  late.push(slow);
  return { late, idle };
}

for (const kind of ["serve", "server"] as const) {
  Deno.test(`live.${kind} with overdue "close": what is late is closed and counted, the others notice nothing`, async () => {
    await using service = await startHttp({
      kind,
      open: "{ quiesceTimeoutMs: 300 }",
      carry: '{ overdue: "close" }',
    });
    using held = new DisposableStack();
    const wanted = await reference(service, GET);
    const { late, idle } = await owing(service.connect, held);
    await service.seen();
    const record = await service.commits("b");
    assertEquals(record.closed, late.length);
    for (const peer of late) {
      peer.goOn();
      const ending = await peer.ended();
      assertMatch(ending, /^(finished|ECONNRESET)$/);
    }
    // What one of them had got before is what it has, and nothing else has come.
    assertEquals(late.map(({ text }) => text.includes("one half,")), [false, true, false, false, false]);
    assertEquals(late.map(({ text }) => text.includes("x-build: b")), Array(5).fill(false));
    idle.send(GET.slice(20));
    await concludes("idle", idle, wanted, "bb");

    const quiet = await service.commits("a");
    assertEquals(quiet.closed, 0, "nothing was late this time");
    assertEquals((await service.app.history()).map(({ closed }) => closed), [5, 0]);
  });

  Deno.test(`live.${kind} with overdue "refuse": answers that are late refuse the update, and still come`, async () => {
    await using service = await startHttp({ kind, open: "{ quiesceTimeoutMs: 300 }" });
    using held = new DisposableStack();
    const gate = `${service.all.path}/gate`;
    const asked = `GET /gated?file=${gate} HTTP/1.1\r\n${HOST}\r\n`;
    await Deno.writeTextFile(gate, "");
    const [wanted, one] = [await reference(service, asked + GET), await reference(service, GET)];
    await Deno.remove(gate);
    const waiting = held.use(await service.connect());
    waiting.send(asked + GET);
    const { late, idle } = await owing(service.connect, held);
    await service.seen();
    const record = await service.upgrade("b");
    assertEquals([record.outcome, record.closed, record.generation], ["refused", 0, 0]);
    assertMatch(record.reason ?? "", /^Cannot update: 6 connections of server "web" still owe an answer$/);
    assertEquals([waiting, idle, ...late].map(({ ending }) => ending), Array(7).fill("open"));
    await Deno.writeTextFile(gate, "");
    await concludes("the one that waited", waiting, wanted, "aaa");
    idle.send(GET.slice(20));
    await concludes("idle", idle, one, "aa");
    late[3]!.send("456789");
    await late[3]!.until("the answer to the upload", ({ text }) => text.endsWith("0123456789"));
    late[4]!.goOn();
    await late[4]!.until("all of the download", ({ size }) => size > 6 * 1024 * 1024);
    for (const peer of late.slice(0, 3)) peer.reset();
    await service.commits("b");
    late[3]!.send(GET);
    await late[3]!.until("an answer of the new build", ({ text }) => text.includes("x-build: b"));
  });
}

Deno.test("each server has its own way with what is late, and the record counts all of them", async () => {
  const routes = new URL("_http_routes.ts", import.meta.url).href;
  const text = (build: string): string =>
    `import { open } from "${LIBRARY}";
import { webHandler } from "${routes}";
const live = await open({ quiesceTimeoutMs: 400 });
const [one, two, three] = Deno.args.map((port) => ({ hostname: "127.0.0.1", port: Number(port) }));
await live.serve("one", one, webHandler("${build}"), { overdue: "close" });
await live.serve("two", two, webHandler("${build}"), { overdue: "close" });
await live.serve("three", three, webHandler("${build}"));
await live.ready();
`;
  const more = [freePort(), freePort()];
  await using service = await startHttp({ kind: "serve", text }, { more: more.map(String) });
  const ports = [Number(service.target), ...more];
  using held = new DisposableStack();
  const late = `GET /gated?file=/there/is/no/such/file HTTP/1.1\r\n${HOST}\r\n`;
  const peers: Peer[] = [];
  for (const port of [...ports, ...ports]) peers.push(held.use(await Peer.connect(port)));
  for (const peer of peers) peer.send(late);
  await service.seen();
  const refused = await service.upgrade("b");
  assertEquals(refused.outcome, "refused");
  assertMatch(refused.reason ?? "", /^Cannot update: 2 connections of server "three" still owe an answer$/);
  assertEquals(refused.closed, 0, "nothing is closed for an update that is refused");
  assertEquals(peers.map(({ ending }) => ending), Array(6).fill("open"));
  for (const peer of [peers[2]!, peers[5]!]) peer.reset();
  await service.seen();
  const record = await service.commits("b");
  assertEquals(record.closed, 4);
  for (const at of [0, 1, 3, 4]) assertMatch(await peers[at]!.ended(), /^(finished|ECONNRESET)$/);
});

Deno.test("connections that were closed for an update count even if the update is undone", async (t) => {
  await using service = await startHttp({
    kind: "serve",
    open: "{ quiesceTimeoutMs: 300 }",
    carry: '{ overdue: "close" }',
  });
  await service.write("throws", { before: onlyForReal('throw new Error("no luck");') });
  await service.write("dies", { before: onlyForReal('Deno.kill(Deno.pid, "SIGKILL");') });
  for (const [build, outcome] of [["throws", "rolled-back"], ["dies", "recovered"]] as const) {
    await t.step(outcome, async () => {
      using held = new DisposableStack();
      const wanted = await reference(service, GET);
      const { late, idle } = await owing(service.connect, held);
      await service.seen();
      const record = await service.upgrade(build);
      assertEquals([record.outcome, record.closed], [outcome, late.length]);
      for (const peer of late) {
        peer.goOn();
        assertMatch(await peer.ended(), /^(finished|ECONNRESET)$/);
      }
      idle.send(GET.slice(20));
      await concludes("idle", idle, wanted, "aa");
    });
  }
});

Deno.test("a client that asks for its connection to be closed gets its answer first, to the end", async () => {
  await using service = await startHttp({ kind: "serve" });
  using held = new DisposableStack();
  const ask = `GET /big HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`;
  const wanted = await reference(service, ask, true);
  const old = held.use(await service.connect());
  old.hold();
  old.send(ask);
  await service.seen();
  const update = service.commits("b");
  await service.still(1);
  const next = held.use(await service.connect());
  next.hold();
  next.send(ask);
  old.goOn();
  await update;
  next.goOn();
  await concludes("asked before", old, wanted, "a", true);
  await concludes("asked while nothing moved", next, wanted, "b", true);
  assertEquals(complaints(service.app.output().stderr), []);
});
