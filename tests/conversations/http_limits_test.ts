import { getLimit } from "../../sys/mod.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { descriptors, heirloomRoot, waitFor } from "../../testing/mod.ts";
import { startHttp } from "./_http_app.ts";
import { answeredBy, complaints, concludes, everything, reference } from "./_http_exact.ts";
import { Peer } from "./_peer.ts";
import { startPhased } from "./_http_phases.ts";
import { BIG_BYTES } from "./_http_routes.ts";

const GET = "GET / HTTP/1.1\r\nhost: example.org\r\n\r\n";

/** How many connections at once are opened by these tests at most. */
const MANY = 5000;

/** Opens connections, a few at a time: one more than the backlog would wait for a second. */
async function connectMany(target: number | string, count: number, held: DisposableStack): Promise<Peer[]> {
  const peers: Peer[] = [];
  while (peers.length < count) {
    const more = Math.min(200, count - peers.length);
    peers.push(
      ...await Promise.all(Array.from({ length: more }, async () => held.use(await Peer.connect(target)))),
    );
  }
  return peers;
}

/** How many connections wait to be accepted, as the kernel tells. */
function waitingAt(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = Deno.readTextFileSync("/proc/net/tcp").split("\n").map((line) => line.trim().split(/\s+/));
  const listener = lines.find(([, address, , state]) => address === local && state === "0A");
  return parseInt(listener?.[4]?.split(":")[1] ?? "0", 16);
}

Deno.test("a full backlog while nobody accepts refuses nobody", async () => {
  const backlog = 16;
  // From the first build on: the kernel keeps it with the socket.
  const files = "(await live.status()).sessions.flatMap(({ files }) => files)";
  await using phased = await startPhased("serve", "await live.ready();", {
    before: `import { listenOn } from "file://${heirloomRoot()}/sys/mod.ts";`,
    ready: `await live.ready();\nlistenOn(${files}.find(({ name }) => name === "web")!.fd!, ${backlog});`,
  });
  const { service } = phased;
  using held = new DisposableStack();
  const ask = GET.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
  const wanted = await reference(service, ask, true);
  const late = held.use(await service.connect());
  late.send(phased.late);
  await service.seen();
  const update = service.commits("b");
  for (const phase of ["loading", "quiescing", "standing"] as const) {
    await phased.reached(phase);
    await phased.leave(phase);
  }
  await phased.reached("booting");
  // Those for whom there is no room are tried again by their own kernel.
  const connecting = Array.from({ length: 3 * backlog }, async () => {
    const peer = held.use(await service.connect());
    peer.send(ask);
    return peer;
  });
  await waitFor(() => waitingAt(Number(service.target)) > backlog, { what: "the backlog to be full" });
  for (const phase of ["booting", "retrieving", "probation"] as const) {
    await phased.reached(phase);
    assertEquals(waitingAt(Number(service.target)), backlog + 1);
    await phased.leave(phase);
  }
  await update;
  const peers = await Promise.all(connecting);
  await everything(peers.map((peer, at) => concludes(`connection ${at}`, peer, wanted, "b", true)));
});

const room = getLimit("nofile").soft > 2 * MANY + 500;
if (!room) console.log(`skipped: ${MANY} connections need a limit of ${2 * MANY + 500} open files`);

Deno.test({
  name: `${MANY} open connections go through an update, one in ten with half a request`,
  ignore: !room,
  fn: async () => {
    await using service = await startHttp({ kind: "serve" });
    const [one, half] = [await reference(service, GET), GET.length / 2];
    using held = new DisposableStack();
    const peers = await connectMany(service.target, MANY, held);
    for (const [at, peer] of peers.entries()) if (at % 10 === 0) peer.send(GET.slice(0, half));
    await service.seen();
    const record = await service.commits("b");
    assert(record.fds > MANY / 10, `${record.fds} descriptors`);
    assertEquals(peers.filter(({ ending }) => ending !== "open").length, 0);
    for (const [at, peer] of peers.entries()) peer.send(at % 10 === 0 ? GET.slice(half) : GET);
    await everything(peers.map((peer, at) => concludes(`connection ${at}`, peer, one, "bb")));
    assertEquals(complaints(service.app.output().stderr), []);
  },
});

Deno.test("more connections than there is room to duplicate refuse an update; fewer do not", async () => {
  const limit = 256;
  // Both limits: the runtime raises the soft one.
  const prefix = ["sh", "-c", `ulimit -n ${limit} && exec "$@"`, "sh"];
  await using service = await startHttp({ kind: "serve" }, { prefix });
  using held = new DisposableStack();
  const wanted = await reference(service, GET + GET);
  const free = limit - descriptors(service.app.pid).length;
  const peers = await connectMany(service.target, free - 40, held);
  for (const peer of peers) peer.send(GET);
  await everything(peers.map((peer) => peer.until("an answer", ({ text }) => answeredBy(text) === "a")));

  for (let round = 0; round < 2; round++) {
    const record = await service.upgrade("b");
    assertEquals([record.outcome, record.generation, record.closed], ["refused", 0, 0]);
    assertMatch(
      record.reason ?? "",
      /^Cannot update: \d+ descriptors are needed, the limit \(RLIMIT_NOFILE\) is 256$/,
    );
  }
  assertEquals(peers.filter(({ ending }) => ending !== "open").length, 0);
  const [leaving, staying] = [peers.slice(60), peers.slice(0, 60)];
  for (const peer of leaving) peer.send(GET);
  await everything(leaving.map((peer, at) => concludes(`leaving ${at}`, peer, wanted, "aaa")));
  await waitFor(() => descriptors(service.app.pid).length < 110, { what: "their descriptors to be closed" });
  const record = await service.commits("b");
  assert(record.fds > 0);
  for (const peer of staying) peer.send(GET);
  await everything(staying.map((peer, at) => concludes(`staying ${at}`, peer, wanted, "abb")));
});

Deno.test("who finds no descriptor left waits until there is one, and then updates work again", async () => {
  const prefix = ["sh", "-c", 'ulimit -n 128 && exec "$@"', "sh"];
  await using service = await startHttp({ kind: "serve" }, { prefix });
  using held = new DisposableStack();
  const [one, two] = [await reference(service, GET), await reference(service, GET + GET)];
  const first = await connectMany(service.target, 60, held);
  for (const peer of first) peer.send(GET);
  await everything(first.map((peer) => peer.until("an answer", ({ text }) => answeredBy(text) === "a")));
  const rest = await connectMany(service.target, 80, held);
  for (const peer of rest) peer.send(GET);
  // A new connection is the only way to say so: there is no descriptor for one that asks.
  await waitFor(() => descriptors(service.app.pid).length >= 128, { what: "the limit to be reached" });
  for (const peer of first) peer.send(GET);
  await everything(first.map((peer, at) => concludes(`first ${at}`, peer, two, "aaa")));
  await everything(rest.map((peer) => peer.until("an answer", ({ text }) => answeredBy(text) === "a")));
  const [staying, leaving] = [rest.slice(0, 8), rest.slice(8)];
  await everything(leaving.map((peer, at) => concludes(`leaving ${at}`, peer, one, "aa")));
  await waitFor(() => descriptors(service.app.pid).length < 48, { what: "their descriptors to be closed" });
  await service.commits("b");
  for (const peer of staying) peer.send(GET);
  await everything(staying.map((peer, at) => concludes(`staying ${at}`, peer, two, "abb")));
});

for (const overdue of ["refuse", "close"] as const) {
  Deno.test(`a flood from one who does not read what he asks for is overdue: ${overdue}`, async () => {
    await using service = await startHttp({
      kind: "serve",
      open: "{ quiesceTimeoutMs: 500 }",
      carry: `{ overdue: "${overdue}" }`,
    });
    using held = new DisposableStack();
    const wanted = await reference(service, GET);
    const flood = held.use(await service.connect());
    const idle = held.use(await service.connect());
    flood.hold();
    for (let request = 0; request < 8; request++) {
      flood.send("GET /big HTTP/1.1\r\nhost: example.org\r\n\r\n");
    }
    await service.seen();
    const record = await service.upgrade("b");
    if (overdue === "refuse") {
      assertEquals([record.outcome, record.closed], ["refused", 0]);
      assertMatch(record.reason ?? "", /1 connection of server "web" still owes an answer$/);
      flood.goOn();
      await flood.until("all four", ({ size }) => size > 4 * BIG_BYTES);
      await service.commits("b");
      flood.forget();
      flood.send(GET);
      await flood.until("an answer of the new build", ({ text }) => answeredBy(text) === "b");
    } else {
      assertEquals([record.outcome, record.closed], ["committed", 1]);
      flood.goOn();
      assertMatch(await flood.ended(), /^(finished|ECONNRESET)$/);
    }
    idle.send(GET);
    await concludes("idle", idle, wanted, "bb");
  });
}
