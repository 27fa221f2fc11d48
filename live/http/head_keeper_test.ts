import { assert, assertEquals } from "@std/assert";

import { get, Host, pause, settled, until } from "./wire_test.ts";

const HEADS = [
  get("/head", "X-Some: thing"),
  "\r\n" + get("/behind-a-stray-line-end"),
  "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nabcd",
];

/** Lets a second server go on with the connections of a first one, as the next build does. */
function handOver(old: Host, young: Host): (string | null)[] {
  old.conversations.pause();
  const taken = old.conversations.takeDescriptors();
  for (const { fd, about } of taken) young.conversations.adopt(fd, about);
  old.server.closeAllConnections();
  return taken.map(({ about }) => about?.input === undefined ? null : new TextDecoder().decode(about.input));
}

/** Waits until the first server has read all that was sent so far. */
async function read(old: Host, bytes: number): Promise<void> {
  await until(() => old.bytesRead() >= bytes, `${bytes} bytes`);
  // The turn of the event loop in which they came is over.
  await pause(1);
}

function echoing(): Promise<Host> {
  return Host.start((req, res) => {
    let body = "";
    req.on("data", (chunk) => body += chunk).on("end", () => res.end(`${req.url}|${body}`));
  });
}

for (const request of HEADS) {
  Deno.test(`HeadKeeper: ${JSON.stringify(request.slice(0, 12))} goes on in the next build, wherever it is cut`, async () => {
    const end = request.indexOf("\r\n\r\n") + 3;
    for (let cut = 1; cut <= end; cut += 5) {
      await using old = await echoing();
      await using young = await echoing();
      using wire = await old.wire();
      await wire.send(request.slice(0, cut));
      await read(old, cut);
      const [kept] = handOver(old, young);
      // Line ends before a request are nothing.
      assertEquals(kept?.trimStart() ?? "", request.slice(0, cut).trimStart());
      await wire.send(request.slice(cut));
      await wire.receive("\r\n\r\n" + (/ (\S+) /.exec(request)?.[1] ?? "?") + "|" + request.slice(end + 1));
      assertEquals([old.asked.length, young.asked.length], [0, 1]);
    }
  });
}

Deno.test("HeadKeeper: a head that came in many pieces crosses whole, also over several builds", async () => {
  const request = get("/slow", "X-One: 1", "X-Two: 2", "X-Three: 3");
  const hosts = [await echoing(), await echoing(), await echoing()] as const;
  using wire = await hosts[0].wire();
  for (let at = 0; at < 40; at += 8) {
    await wire.send(request.slice(at, at + 8));
    await read(hosts[0], at + 8);
  }
  assertEquals(handOver(hosts[0], hosts[1]), [request.slice(0, 40)]);
  await wire.send(request.slice(40, 60));
  await until(() => kept(hosts[1]) === request.slice(0, 60), "the second part");
  assertEquals(handOver(hosts[1], hosts[2]), [request.slice(0, 60)]);
  await wire.send(request.slice(60));
  await wire.receive("\r\n\r\n/slow|");
  // And on: the connection is as good as any other.
  await wire.ask("/next", "/next|");
  for (const host of hosts) await host[Symbol.asyncDispose]();
});

Deno.test("HeadKeeper: of pipelined requests only the one that is not whole crosses", async () => {
  await using old = await echoing();
  await using young = await echoing();
  using wire = await old.wire();
  const post = "POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nGET /";
  await wire.send(get("/1") + post + get("/3").slice(0, 20));
  await wire.receive("\r\n\r\n/1|");
  await wire.receive("\r\n\r\n/2|GET /");
  await settled2(old);
  assertEquals(handOver(old, young), [get("/3").slice(0, 20)]);
  await wire.send(get("/3").slice(20));
  await wire.receive("\r\n\r\n/3|");
  assertEquals(young.asked, ["/3"]);
});

Deno.test("HeadKeeper: a head behind a body that came in an earlier piece is waited for", async () => {
  await using old = await echoing();
  using wire = await old.wire();
  const post = "POST /1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nabcd";
  await wire.send(post);
  await read(old, post.length);
  await wire.send("efgh" + get("/2").slice(0, 10));
  await wire.receive("\r\n\r\n/1|abcdefgh");
  await until(() => old.conversations.owing === 1, "a head of which nobody knows the beginning");
  old.conversations.pause();
  await wire.send(get("/2").slice(10));
  await settled(old.conversations);
  await wire.receive("\r\n\r\n/2|");
});

Deno.test("HeadKeeper: a refused update goes on with half a head as if nothing had been", async () => {
  await using host = await echoing();
  using wire = await host.wire();
  for (const cut of [9, 30]) {
    await wire.send(get("/again").slice(0, cut));
    await read(host, 1);
    await pause(5);
    host.conversations.pause();
    await settled(host.conversations);
    for (const { fd } of host.conversations.takeDescriptors()) fd[Symbol.dispose]();
    host.conversations.resume();
    await wire.send(get("/again").slice(cut));
    await wire.receive("\r\n\r\n/again|");
  }
});

Deno.test("HeadKeeper: a body in many pieces is not kept, and comes whole when it is read by hand", async () => {
  await using host = await Host.start((req, res) => {
    let bytes = 0;
    req.on("data", (chunk: Uint8Array) => bytes += chunk.byteLength).on("end", () => res.end(`${bytes}`));
  });
  using wire = await host.wire();
  await wire.send("POST /big HTTP/1.1\r\nHost: loc");
  await read(host, 10);
  await wire.send("alhost\r\nContent-Length: 300000\r\n\r\n");
  for (let at = 0; at < 30; at++) await wire.send("x".repeat(10_000));
  await wire.receive("\r\n\r\n300000");
  assert(!wire.ended);
});

async function settled2(host: Host): Promise<void> {
  host.conversations.pause();
  await settled(host.conversations);
}

/** What it would carry of a head. */
function kept(host: Host): string | null {
  const [taken] = host.conversations.takeDescriptors();
  taken?.fd[Symbol.dispose]();
  const input = taken?.about?.input;
  return input === undefined ? null : new TextDecoder().decode(input);
}
