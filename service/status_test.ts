import { assertEquals, assertRejects } from "@std/assert";

import { sampleFd } from "../control/helpers_test.ts";
import type { FdReport, StatusReport } from "../control/types.ts";
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

const FDS: FdReport[] = [
  {
    fd: 3,
    class: "preserved",
    what: "a listening socket (127.0.0.1:80)",
    note: "held by the session",
    session: "heirloom",
    token: "1",
    name: "web",
    compatible: "listener-v1",
    hint: null,
    backlog: { waiting: 0, limit: 4096 },
  },
  sampleFd({ fd: 12 }),
];

const fakeService = () =>
  startFake(({ url }, response) =>
    json(response, 200, url === "/v1/status?fds=1" ? { ...STATUS, fds: FDS } : DOCUMENTS[url ?? ""])
  );

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
    const base = { command, socket: fake.socket, timeoutMs: 30_000, fds: false };
    const text = await printed(async () => assertEquals(await query({ ...base, json: false }), 0));
    assertEquals(text, { out: [TEXTS[command]], err: [] });
    const document = await printed(async () => assertEquals(await query({ ...base, json: true }), 0));
    assertEquals(document.out.map((line) => JSON.parse(line)), [DOCUMENTS[`/v1/${command}`]]);
  });
}

Deno.test("query() prints what becomes of every descriptor", async () => {
  await using fake = await fakeService();
  const base = { command: "status", socket: fake.socket, timeoutMs: 30_000, fds: true } as const;
  const { out } = await printed(async () => assertEquals(await query({ ...base, json: false }), 0));
  assertEquals(out, [`${TEXTS.status}

FD  CLASS      TOKEN       NAME  WHAT                               FOR
3   preserved  heirloom 1  web   a listening socket (127.0.0.1:80)  held by the session
12  unknown    -           -     a pipe                             no handler: closed at the next update`]);
  const document = await printed(() => query({ ...base, json: true }));
  assertEquals(document.out.map((line) => JSON.parse(line)), [{ ...STATUS, fds: FDS }]);
});

Deno.test("query() says so where there was no update yet", async () => {
  await using fake = await startFake(({ url }, response) => {
    json(response, 200, url === "/v1/history" ? { updates: [] } : { ...STATUS, last_update: null });
  });
  const base = { socket: fake.socket, timeoutMs: 30_000, fds: false, json: false } as const;
  assertEquals((await printed(() => query({ ...base, command: "history" }))).out, ["no updates yet"]);
  const [text = ""] = (await printed(() => query({ ...base, command: "status" }))).out;
  assertEquals(text.split("\n").length, 3);
});

Deno.test("query() throws what the client says", async () => {
  const base = { command: "status", timeoutMs: 30_000, fds: false, json: false } as const;
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
