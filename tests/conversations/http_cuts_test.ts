import { assertEquals } from "@std/assert";
import { startHttp } from "./_http_app.ts";
import { complaints, concludes, everything, reference } from "./_http_exact.ts";
import type { Peer } from "./_peer.ts";

const GET = "GET / HTTP/1.1\r\nhost: example.org\r\n\r\n";
const HEAD = "HEAD /204 HTTP/1.1\r\nhost: example.org\r\nx-empty:\r\n\r\n";
const HEADS = "POST /echo HTTP/1.1\r\nhost: example.org\r\ncontent-length: ";
const POST = `${HEADS}5\r\n\r\nmoney`;
const LIKE_A_HEAD = `${HEADS}${GET.length}\r\n\r\n${GET}`;

/** How many clients there are of each way to cut. */
const CLIENTS = 60;

/** A random generator that gives the same in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 48_271) % 2_147_483_647) % below;
}

/** Requests in a row, cut somewhere, but not in a body: with that nobody but the old build can go on. */
function cut(seed: number, pieces: number): { text: string; parts: string[] } {
  const pick = random(seed);
  const requests = Array.from({ length: 3 + pick(3) }, () => [GET, HEAD, POST, LIKE_A_HEAD][pick(4)]!);
  const text = requests.join("");
  const allowed: number[] = [];
  let at = 0;
  for (const request of requests) {
    const body = request.indexOf("\r\n\r\n") + 4;
    for (let place = 0; place < body; place++) if (at + place > 0) allowed.push(at + place);
    at += request.length;
  }
  const places = new Set<number>();
  while (places.size < pieces - 1) places.add(allowed[pick(allowed.length)]!);
  const sorted = [0, ...[...places].sort((a, b) => a - b), text.length];
  return { text, parts: sorted.slice(1).map((end, index) => text.slice(sorted[index], end)) };
}

Deno.test("requests in a row in pieces of any kind: each is answered once, whatever is cut by an update", async (t) => {
  await using service = await startHttp({ kind: "serve", open: "{ quiesceTimeoutMs: 3000 }" });
  let generation = 0;
  // The update comes behind the first, second, third piece of four.
  for (const before of [1, 2, 3]) {
    await t.step(`behind piece ${before} of 4`, async () => {
      const next = ["b", "a"][generation++ % 2]!;
      using held = new DisposableStack();
      const clients: { peer: Peer; parts: string[]; wanted: string }[] = [];
      for (let client = 0; client < CLIENTS; client++) {
        const { text, parts } = cut(1000 * before + client + 1, 4);
        clients.push({
          peer: held.use(await service.connect()),
          parts,
          wanted: await reference(service, text),
        });
      }
      for (let piece = 0; piece < before; piece++) {
        for (const { peer, parts } of clients) peer.send(parts[piece]!);
        await service.seen();
      }
      await service.commits(next);
      for (let piece = before; piece < 4; piece++) {
        for (const { peer, parts } of clients) peer.send(parts[piece]!);
        await service.seen();
      }
      await everything(clients.map(({ peer, parts, wanted }) => {
        const name = JSON.stringify(parts);
        // Who answers what depends on where it is cut; that nobody does so twice does not.
        return concludes(name, peer, wanted, "?".repeat(wanted.split("x-build").length - 1));
      }));
    });
  }
  assertEquals(complaints(service.app.output().stderr), []);
});

Deno.test("a request behind the end of another one, in one piece, is not done twice", async () => {
  await using service = await startHttp({ kind: "serve" });
  const wanted = await reference(service, GET + POST + GET);
  // What is left of the first one is only the end of its line: a build that began to read there would see no fault.
  using peer = await service.connect();
  for (const piece of [GET.slice(0, -2), GET.slice(-2) + POST + GET.slice(0, 9)]) {
    peer.send(piece);
    await service.seen();
  }
  await service.commits("b");
  peer.send(GET.slice(9));
  await concludes("in pieces", peer, wanted, "aabb");
});
