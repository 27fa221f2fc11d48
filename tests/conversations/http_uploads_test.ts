import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "../../testing/mod.ts";
import { startHttp } from "./_http_app.ts";
import { complaints, concludes, everything, reference } from "./_http_exact.ts";
import { BIG_BYTES, pattern } from "./_http_routes.ts";
import type { Peer } from "./_peer.ts";

const HOST = "host: example.org\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;

/** A body in chunks of different lengths. */
function chunked(body: string): string {
  let text = "";
  for (let at = 0, size = 1; at < body.length; at += size, size = size * 2 + 1) {
    const part = body.slice(at, at + size);
    text += `${part.length.toString(16)}\r\n${part}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

/** Sends a text in small pieces, with pauses: a client on a slow line. */
async function drip(peer: Peer, text: string, size: number): Promise<void> {
  for (let at = 0; at < text.length; at += size) {
    peer.send(text.slice(at, at + size));
    await delay(3);
  }
}

for (const kind of ["serve", "server"] as const) {
  Deno.test(`live.${kind}: uploads that drip through the beginning of an update are waited for, and are whole`, async () => {
    await using service = await startHttp({ kind });
    const body = Array.from({ length: 400 }, (_, at) => String.fromCharCode(33 + (at * 7) % 90)).join("");
    const head = `POST /echo HTTP/1.1\r\n${HOST}`;
    const plain = `${head}content-length: 400\r\n\r\n${body}`;
    const uploads: [string, string, string][] = [
      ["with a length", plain, "on"],
      ["in chunks", `${head}transfer-encoding: chunked\r\n\r\n${chunked(body)}`, "on"],
      ["expecting 100", `${head}content-length: 400\r\nexpect: 100-continue\r\n\r\n${body}`, "on"],
      ["and the next request behind it", plain + GET, "o?n"],
      ["two of them", plain + plain, "o?n"],
    ];
    let [old, next] = ["a", "b"];
    for (let round = 1; round <= 2; round++) {
      using held = new DisposableStack();
      const wanted = new Map<string, string>();
      const peers: Peer[] = [];
      for (const [, text] of uploads) {
        wanted.set(text, await reference(service, text));
        peers.push(held.use(await service.connect()));
      }
      // A hundred bytes are in the middle of the body of each.
      for (const [at, [, text]] of uploads.entries()) peers[at]!.send(text.slice(0, 180));
      await service.seen();
      const update = service.commits(next);
      await service.still(round);
      let over = false;
      void update.then(() => over = true, () => over = true);
      await everything(uploads.map(([, text], at) => drip(peers[at]!, text.slice(180, -5), 7)));
      assertEquals(over, false, "an update that does not wait for uploads");
      for (const [at, [, text]] of uploads.entries()) peers[at]!.send(text.slice(-5));
      await update;
      await everything(uploads.map(async ([name, text, by], at) => {
        const builds = by.replaceAll("o", old).replaceAll("n", next);
        await concludes(name, peers[at]!, wanted.get(text)!, builds);
      }));
      [old, next] = [next, old];
    }
    assertEquals(complaints(service.app.output().stderr), []);
  });

  Deno.test(`live.${kind}: six megabytes that come while an update wants to begin arrive whole`, async () => {
    await using service = await startHttp({ kind });
    const bytes = pattern(BIG_BYTES);
    const head = `POST /echo HTTP/1.1\r\n${HOST}content-length: ${BIG_BYTES}\r\n\r\n`;
    using quiet = await service.connect();
    quiet.send(head);
    quiet.send(bytes);
    const { length } = await (async () => {
      await quiet.until("the whole answer", ({ size }) => size > BIG_BYTES);
      const end = quiet.text.indexOf("\r\n\r\n") + 4;
      await quiet.until("the whole answer", ({ size }) => size >= BIG_BYTES + end);
      return quiet.bytes();
    })();
    using before = await service.connect();
    using during = await service.connect();
    before.send(head);
    before.send(bytes.subarray(0, 1_000_000));
    await service.seen();
    const update = service.commits("b");
    await service.still(1);
    before.send(bytes.subarray(1_000_000));
    during.send(head);
    during.send(bytes);
    await update;
    for (const [peer, build] of [[before, "a"], [during, "b"]] as const) {
      await peer.until("the whole answer", ({ size }) => size >= length);
      assertEquals(peer.size, length);
      const answer = peer.bytes();
      const body = answer.subarray(length - BIG_BYTES);
      assert(body.every((byte, at) => byte === bytes[at]), "a wrong byte");
      const start = new TextDecoder().decode(answer.subarray(0, length - BIG_BYTES));
      assertMatch(start, new RegExp(`^HTTP/1.1 200 OK\r\n[^]*x-build: ${build}\r\n[^]*\r\n\r\n$`));
      peer.forget();
      peer.send(GET);
      await peer.until("an answer on the same connection", ({ text }) => text.includes("x-build: b"));
    }
  });
}

Deno.test("an upload that stalls refuses updates, and is whole when it goes on", async (t) => {
  await using service = await startHttp({ kind: "serve", open: "{ quiesceTimeoutMs: 400 }" });
  const head = `POST /echo HTTP/1.1\r\n${HOST}content-length: 10\r\n\r\n`;
  const behind = "GET / HTTP/1.1\r\nho";
  const stalls: [string, string[], string][] = [
    ["in its body", [`${head}0123`, "456789"], "a"],
    ["at the beginning of its body", [head, "0123456789"], "a"],
    // Nobody can tell where in the second piece the second request begins.
    ["in the head of the next one, which came with the end of the body", [
      `${head}01234`,
      `56789${behind}`,
      `st: x\r\n\r\n`,
    ], "aa"],
  ];
  for (const [name, pieces, by] of stalls) {
    await t.step(name, async () => {
      const wanted = await reference(service, pieces.join(""));
      using peer = await service.connect();
      using idle = await service.connect();
      for (const piece of pieces.slice(0, -1)) {
        peer.send(piece);
        await service.seen();
      }
      const record = await service.upgrade("b");
      assertEquals([record.outcome, record.generation, record.closed], ["refused", 0, 0]);
      assertMatch(record.reason ?? "", /^Cannot update: 1 connection of server "web" still owes/);
      assertEquals([peer.ending, idle.ending], ["open", "open"]);
      peer.send(pieces.at(-1)!);
      await concludes(name, peer, wanted, `${by}a`);
      await concludes("idle", idle, await reference(service, ""), "a");
    });
  }
  await service.commits("b");
});
