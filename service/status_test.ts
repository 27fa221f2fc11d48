import { assertEquals, assertRejects } from "@std/assert";

import type { StatusReport } from "../control/types.ts";
import { ControlError, NoServiceError } from "./control_client.ts";
import { BUILD, cli, json, printed, sampleRecord, startFake } from "./helpers_test.ts";
import { query } from "./status.ts";

const STATUS: StatusReport = {
  pid: 42,
  generation: 3,
  state: "serving",
  build: BUILD,
  uptime_ms: 65_000,
  sessions: [
    {
      name: "heirloom",
      direction: "outgoing",
      files: [
        { token: "1", compatible: "listener-v1", fd: 9, name: "web" },
        { token: "18446744073709551615", compatible: "memfd-v1", fd: null, name: null },
      ],
    },
    { name: "empty", direction: "incoming", files: [] },
  ],
  last_update: sampleRecord(),
};

const DOCUMENTS: Record<string, unknown> = {
  "/v1/status": STATUS,
  "/v1/sessions": { sessions: STATUS.sessions },
  "/v1/history": {
    updates: [
      sampleRecord(),
      sampleRecord({
        id: "b2",
        outcome: "refused",
        reason: "no",
        blackout_ms: null,
        to: { path: "/x.ts", version: null, id: null },
      }),
    ],
  },
};

const fakeService = () => startFake(({ url }, response) => json(response, 200, DOCUMENTS[url ?? ""]));

const TEXTS = {
  status: `serving, pid 42, generation 3, up 65.0 s
build     1.0.0 0123456789ab (/srv/app.ts)
preserved 2 files in 2 sessions
last      update a1 committed: generation 3, pause 12.3 ms`,
  sessions: `SESSION   DIRECTION  TOKEN                 NAME  HANDLER      FD
heirloom  outgoing   1                     web   listener-v1  9
heirloom  outgoing   18446744073709551615  -     memfd-v1     -
empty     incoming   -                     -     -            -`,
  history: `ID  OUTCOME    GENERATION  PAUSE    TO     REASON
a1  committed  3           12.3 ms  2.0.0  -
b2  refused    3           -        /x.ts  no`,
} as const;

for (const command of ["status", "sessions", "history"] as const) {
  Deno.test(`query() prints ${command} for people and for programs`, async () => {
    await using fake = await fakeService();
    const base = { command, socket: fake.socket, timeoutMs: 30_000 };
    const text = await printed(async () => assertEquals(await query({ ...base, json: false }), 0));
    assertEquals(text, { out: [TEXTS[command]], err: [] });
    const document = await printed(async () => assertEquals(await query({ ...base, json: true }), 0));
    assertEquals(document.out.map((line) => JSON.parse(line)), [DOCUMENTS[`/v1/${command}`]]);
  });
}

Deno.test("query() says so where there was no update yet", async () => {
  await using fake = await startFake(({ url }, response) => {
    json(response, 200, url === "/v1/history" ? { updates: [] } : { ...STATUS, last_update: null });
  });
  const base = { socket: fake.socket, timeoutMs: 30_000, json: false } as const;
  assertEquals((await printed(() => query({ ...base, command: "history" }))).out, ["no updates yet"]);
  const [text = ""] = (await printed(() => query({ ...base, command: "status" }))).out;
  assertEquals(text.split("\n").length, 3);
});

Deno.test("query() throws what the client says", async () => {
  const base = { command: "status", timeoutMs: 30_000, json: false } as const;
  await assertRejects(() => query({ ...base, socket: "/nowhere/s.sock" }), NoServiceError);
  await using fake = await startFake((_request, response) => json(response, 500, {}));
  await assertRejects(() => query({ ...base, socket: fake.socket }), ControlError);
});

Deno.test("status exits 0 with an answer, 1 refused, 3 without a service, 4 without an answer", async () => {
  await using fake = await fakeService();
  const good = await cli(["status", "--socket", fake.socket, "--json"]);
  assertEquals([good.code, JSON.parse(good.stdout), good.stderr], [0, STATUS, ""]);
  await using broken = await startFake((_request, response) => json(response, 500, {}));
  assertEquals((await cli(["status", "--socket", broken.socket])).code, 1);
  const nobody = await cli(["status", "--socket", `${fake.socket}x`]);
  assertEquals([nobody.code, nobody.stdout], [3, ""]);
  assertEquals(nobody.stderr, `heirloom: Cannot ask ${fake.socket}x: nobody serves it (ENOENT)\n`);
  await using silent = await startFake(() => {});
  const late = await cli(["status", "--socket", silent.socket, "--timeout", "0.2"]);
  assertEquals([late.code, late.stdout], [4, ""]);
  assertEquals(late.stderr, `heirloom: Cannot ask ${silent.socket}: no answer after 0.2 s\n`);
});
