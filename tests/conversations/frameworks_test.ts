import { assertEquals, assertMatch } from "@std/assert";
import { FRAMEWORKS } from "./_frameworks.ts";
import { startHttp } from "./_http_app.ts";
import { answeredBy, complaints, concludes, everything, reference } from "./_http_exact.ts";
import type { Peer } from "./_peer.ts";

const HOST = "host: example.org\r\n";
const USER = `GET /users/7?q=a%20b HTTP/1.1\r\n${HOST}\r\n`;
const BAD = `GET /bad HTTP/1.1\r\n${HOST}\r\n`;
const NONE = `GET /nowhere HTTP/1.1\r\n${HOST}\r\n`;

function sum(...numbers: number[]): string {
  const body = JSON.stringify(numbers);
  return `POST /sum HTTP/1.1\r\n${HOST}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

for (const [name, text] of Object.entries(FRAMEWORKS)) {
  Deno.test(`${name} keeps its clients through updates, with bodies and streams`, async (t) => {
    await using service = await startHttp({ kind: "server", text });
    const file = `${service.all.path}/gate`;
    const stream = `GET /stream?file=${file} HTTP/1.1\r\n${HOST}\r\n`;
    await Deno.writeTextFile(file, "");
    const upload = sum(1, 2, 3, 40, 50);
    const half = Math.floor(USER.length / 2);

    await t.step("answers as it should", async () => {
      using peer = await service.connect();
      peer.send(USER + upload + BAD);
      await peer.until("three answers", ({ text }) => text.includes("no tea"));
      assertMatch(peer.text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n\{"id":"7","q":"a b"\}HTTP/);
      assertMatch(peer.text, /\r\n\r\n\{"sum":96\}HTTP\/1\.1 418 /);
      assertEquals(answeredBy(peer.text), "aaa");
    });

    // What is sent before the update, while all stands still, and after it; `o` is the old build, `n` the new one.
    const talks: [string, string, string, string, string][] = [
      ["keep-alive", USER, USER, upload, "onn"],
      ["bodies", upload, upload, upload + USER, "onnn"],
      ["half a head", USER.slice(0, half), USER.slice(half), upload, "nn"],
      ["a slow body", upload.slice(0, -4), upload.slice(-4), upload, "on"],
      [
        "a head with half of a body to come",
        upload.slice(0, 30),
        upload.slice(30, -4),
        upload.slice(-4),
        "n",
      ],
      ["a stream", stream, "", stream, "on"],
      ["errors", BAD, BAD, BAD, "onn"],
    ];
    const wanted = new Map<string, string>();
    for (const [what, ...pieces] of talks) {
      wanted.set(what, await reference(service, pieces.slice(0, 3).join("")));
    }
    const none = await reference(service, NONE);

    for (const [round, [old, next]] of ([["a", "b"], ["b", "a"], ["a", "b"]] as const).entries()) {
      await t.step(`update ${round + 1}`, async () => {
        await Deno.remove(file);
        using held = new DisposableStack();
        const peers: Peer[] = [];
        for (const [, before] of talks) {
          const peer = held.use(await service.connect());
          peer.send(before);
          peers.push(peer);
        }
        await service.seen();
        const update = service.commits(next);
        await service.still(round + 1);
        talks.forEach(([, , still], at) => peers[at]!.send(still));
        await Deno.writeTextFile(file, "");
        await update;
        talks.forEach(([, , , after], at) => peers[at]!.send(after));
        await everything(talks.map(async ([what, , , , by], at) => {
          const builds = by.replaceAll("o", old).replaceAll("n", next) + next;
          await concludes(what, peers[at]!, wanted.get(what)!, builds);
        }));
        assertEquals(await reference(service, NONE), none);
      });
    }
    assertEquals(complaints(service.app.output().stderr), []);
  });
}
