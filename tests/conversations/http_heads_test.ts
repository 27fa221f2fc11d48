import { assertEquals, assertMatch } from "@std/assert";
import { LIBRARY, onlyForReal } from "../update/_fixtures.ts";
import { type HttpService, startHttp } from "./_http_app.ts";
import { answeredBy, complaints, concludes, everything, reference } from "./_http_exact.ts";
import type { Peer } from "./_peer.ts";

const GET = "GET / HTTP/1.1\r\nhost: example.org\r\naccept: */*\r\n\r\n";
const OTHER = "HEAD /204 HTTP/1.1\r\nhost: example.org\r\nx-empty:\r\n\r\n";
const POST = "POST /echo HTTP/1.1\r\nhost: example.org\r\ncontent-length: 5\r\n\r\nhello";

/** A client that sends its bytes in pieces. */
interface Split {
  readonly name: string;
  readonly pieces: readonly string[];
  readonly peer: Peer;
}

/** Connects one client for each way of cutting. */
async function connectAll(service: HttpService, held: DisposableStack, ways: string[][]): Promise<Split[]> {
  const all: Split[] = [];
  for (const pieces of ways) {
    all.push({ name: JSON.stringify(pieces), pieces, peer: held.use(await service.connect()) });
  }
  return all;
}

/** Sends piece number `at` of all of them, and waits until the service has read it. */
async function sendPiece(service: HttpService, splits: readonly Split[], at: number): Promise<void> {
  for (const { peer, pieces } of splits) peer.send(pieces[at] ?? "");
  await service.seen();
}

/** A text cut in two at every place behind its first `whole` characters. */
function everyCut(text: string, whole = 0): string[][] {
  return Array.from({ length: text.length - whole - 1 }, (_, at) => whole + at + 1)
    .map((at) => [text.slice(0, at), text.slice(at)]);
}

/** A text cut in so many pieces, at places that are the same in every run. */
function someCuts(text: string, pieces: number, seed: number): string[] {
  const places = new Set<number>();
  for (let state = seed; places.size < pieces - 1;) {
    state = (state * 48_271) % 2_147_483_647;
    places.add(1 + state % (text.length - 1));
  }
  const sorted = [0, ...[...places].sort((a, b) => a - b), text.length];
  return sorted.slice(1).map((end, at) => text.slice(sorted[at], end));
}

for (const kind of ["serve", "server"] as const) {
  Deno.test(`live.${kind}: a head is cut anywhere by an update, and answered by the new build`, async (t) => {
    await using service = await startHttp({ kind });
    const cases: [string, string, number, (next: string, old: string) => string][] = [
      ["the first request", GET, 0, (next) => next + next],
      ["the second of two in a row", GET + OTHER, GET.length, (next, old) => old + next + next],
      [
        "the third of three in a row",
        GET + POST + GET,
        (GET + POST).length,
        (next, old) => old + old + next + next,
      ],
    ];
    let [old, next] = ["a", "b"];
    for (const [name, text, whole, by] of cases) {
      await t.step(name, async () => {
        const wanted = await reference(service, text);
        using held = new DisposableStack();
        const splits = await connectAll(service, held, everyCut(text, whole));
        await sendPiece(service, splits, 0);
        await service.commits(next);
        await sendPiece(service, splits, 1);
        await everything(splits.map((each) => concludes(each.name, each.peer, wanted, by(next, old))));
        [old, next] = [next, old];
      });
    }
    assertEquals(complaints(service.app.output().stderr), []);
  });
}

Deno.test("a head comes in pieces over three updates in a row, and is answered by the last build", async () => {
  await using service = await startHttp({ kind: "serve" });
  const wanted = await reference(service, GET);
  using held = new DisposableStack();
  // Six pieces: two before the first update, one after each, and the last one while nobody updates.
  const ways = Array.from({ length: 60 }, (_, at) => someCuts(GET, 6, at + 1));
  const splits = await connectAll(service, held, ways);
  await sendPiece(service, splits, 0);
  await sendPiece(service, splits, 1);
  for (const [at, build] of ["b", "a", "b"].entries()) {
    await service.commits(build);
    await sendPiece(service, splits, at + 2);
  }
  await sendPiece(service, splits, 5);
  await everything(splits.map(({ name, peer }) => concludes(name, peer, wanted, "bb")));
  assertEquals(complaints(service.app.output().stderr), []);
});

Deno.test("a head that has come in part is answered by the old build when the update is undone", async (t) => {
  await using service = await startHttp({ kind: "serve" });
  await service.write("throws", { before: onlyForReal('throw new Error("no luck");') });
  await service.write("dies", { before: onlyForReal('Deno.kill(Deno.pid, "SIGKILL");') });
  await service.write("refused", { before: 'throw new Error("not even in the check");' });
  const wanted = await reference(service, GET + GET);
  for (
    const [build, outcome] of [["refused", "refused"], ["throws", "rolled-back"], [
      "dies",
      "recovered",
    ]] as const
  ) {
    await t.step(outcome, async () => {
      using held = new DisposableStack();
      const ways = everyCut(GET + GET, GET.length).map(([start = "", end = ""]) => {
        const middle = Math.floor(end.length / 2);
        return [start, end.slice(0, middle), end.slice(middle)];
      });
      const splits = await connectAll(service, held, ways);
      await sendPiece(service, splits, 0);
      const record = await service.upgrade(build);
      assertEquals(record.outcome, outcome, record.reason ?? "");
      await sendPiece(service, splits, 1);
      // And the old build can still hand it on.
      const next = outcome === "recovered" ? await service.commits("b").then(() => "b") : "a";
      await sendPiece(service, splits, 2);
      await everything(splits.map(({ name, peer }) => concludes(name, peer, wanted, `a${next}${next}`)));
    });
  }
});

Deno.test("what becomes garbage after the update, or never an end, is told so by the new build", async () => {
  const text = (build: string, limits: string): string =>
    `import { createServer } from "node:http";
import { open } from "${LIBRARY}";
const live = await open();
const server = createServer({ ${limits} }, (_, res) => res.setHeader("x-build", "${build}").end("done"));
await live.server("web", server, { hostname: "127.0.0.1", port: Number(Deno.args[0]) });
await live.ready();
`;
  await using service = await startHttp({ kind: "server", text: (build) => text(build, "") });
  const impatient = text("c", "connectionsCheckingInterval: 50, headersTimeout: 500");
  await service.write("c", { text: () => impatient });
  using held = new DisposableStack();
  const half = async (): Promise<Peer> => {
    const peer = held.use(await service.connect());
    peer.send("GET / HTTP/1.1\r\nho");
    return peer;
  };
  const [garbage, ended, good, silent] = [await half(), await half(), await half(), await half()];
  await service.seen();
  await service.commits("b");
  garbage.send("st x\r\n\x00\x01 no header: at all\r\n\r\n");
  ended.finish();
  good.send("st: x\r\nconnection: close\r\n\r\n");
  assertEquals([await garbage.ended(), await ended.ended(), await good.ended()], Array(3).fill("finished"));
  assertMatch(garbage.text, /^HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n\r\n$/);
  assertEquals(ended.text, "", "to half a request there is nothing to say");
  assertMatch(good.text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\ndone$/);
  assertEquals(answeredBy(good.text), "b");
  // The time that a server gives for a head counts for one that has crossed as well.
  assertEquals(silent.ending, "open");
  await service.commits("c");
  assertEquals(await silent.ended(), "finished");
  assertMatch(silent.text, /^HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n\r\n$/);
});
