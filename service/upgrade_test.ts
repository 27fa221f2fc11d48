import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";

import type { UpdateRecord } from "../control/types.ts";
import type { UpgradeCommand } from "./args.ts";
import { BrokenConnectionError, ControlError, NoServiceError } from "./control_client.ts";
import { cli, type FakeService, json, printed, sampleRecord, startFake } from "./helpers_test.ts";
import { upgrade } from "./upgrade.ts";

/** What a service does when it is asked for the update: tell a record, break, or something else. */
type Turn = UpdateRecord | "break" | "half" | "missing" | "garbage" | "refuse";

/** A service in the middle of an update; the last turn is repeated. */
async function updating(...turns: Turn[]): Promise<FakeService> {
  let at = 0;
  return await startFake((request, response) => {
    if (request.method === "POST") return json(response, 202, { id: "a1" });
    const turn = turns[Math.min(at++, turns.length - 1)];
    if (turn === "break") request.socket.destroy();
    else if (turn === "half") response.write('{"id":', () => void request.socket.destroy());
    else if (turn === "missing") {
      json(response, 404, { error: { code: "ENOENT", message: "no such update" } });
    } else if (turn === "garbage") response.end("<html>");
    else if (turn === "refuse") json(response, 403, { error: { code: "EACCES", message: "not for you" } });
    else json(response, 200, turn);
  });
}

function commandFor(socket: string, changes: Partial<UpgradeCommand> = {}): UpgradeCommand {
  return {
    ...{ command: "upgrade", socket, json: false, timeoutMs: 20_000, guardian: true },
    ...{ commitAfterMs: undefined, build: undefined, deno: undefined, heirloom: undefined },
    ...changes,
  };
}

const UNDER_WAY = sampleRecord({ outcome: null, blackout_ms: null });

Deno.test("upgrade() gives 0 for a committed update, whatever happened to the connection", async () => {
  const turns: Turn[] = [
    "missing",
    UNDER_WAY,
    "break",
    "break",
    "half",
    "garbage",
    "missing",
    sampleRecord(),
  ];
  await using fake = await updating(...turns);
  let status: number | undefined;
  const { out, err } = await printed(async () => status = await upgrade(commandFor(fake.socket)));
  assertEquals(status, 0);
  assertEquals(out, [
    "update a1 committed: generation 3, pause 12.3 ms, now 2.0.0 ba9876543210 (/srv/v2.ts)",
  ]);
  assertEquals(err, []);
  assertEquals(fake.requests.slice(1), turns.map(() => "GET /v1/history/a1"));
});

for (const outcome of ["refused", "rolled-back", "recovered", "lost"] as const) {
  Deno.test(`upgrade() gives 1 for an update that was ${outcome}, with the reason on stderr`, async () => {
    await using fake = await updating(sampleRecord({ outcome, reason: "because" }));
    let status: number | undefined;
    const { out, err } = await printed(async () => status = await upgrade(commandFor(fake.socket)));
    assertEquals([status, out], [1, []]);
    assertEquals(err, [`heirloom: update a1 ${outcome}: generation 3, pause 12.3 ms: because`]);
  });
}

Deno.test("upgrade() asks for what it is told, with absolute paths", async () => {
  await using fake = await updating(sampleRecord());
  const changes = {
    build: "v2.ts",
    deno: "/usr/bin/deno",
    heirloom: "../h",
    guardian: false,
    timeoutMs: 500,
    commitAfterMs: 200,
  };
  await printed(() => upgrade(commandFor(fake.socket, changes)));
  await printed(() => upgrade(commandFor(fake.socket)));
  const bodies = fake.requests.filter((line) => line.startsWith("POST")).map((line) =>
    JSON.parse(line.replace("POST /v1/upgrade ", ""))
  );
  assertEquals(bodies, [
    {
      build: `${Deno.cwd()}/v2.ts`,
      deno: "/usr/bin/deno",
      heirloom: `${Deno.cwd()}/../h`,
      timeout_ms: 500,
      guardian: false,
      commit_after_ms: 200,
    },
    { timeout_ms: 20_000, guardian: true },
  ]);
});

Deno.test("upgrade() throws when it cannot be started, or must not be watched", async () => {
  await assertRejects(() => upgrade(commandFor("/nowhere/s.sock")), NoServiceError);
  await using busy = await startFake((_request, response) =>
    json(response, 409, { error: { code: "EBUSY", message: "Cannot update: update z9 is under way" } })
  );
  const error = await assertRejects(() => upgrade(commandFor(busy.socket)), ControlError, "z9 is under way");
  assertEquals([error.code, busy.requests.length], ["EBUSY", 1]);
  await using broken = await startFake((request) => void request.socket.destroy());
  await assertRejects(() => upgrade(commandFor(broken.socket)), BrokenConnectionError);
  await using foreign = await updating(UNDER_WAY, "refuse");
  await assertRejects(() => upgrade(commandFor(foreign.socket)), ControlError, "not for you");
});

Deno.test("upgrade --json prints one document, and exits 0 or 1", async () => {
  await using good = await updating("missing", "break", "break", UNDER_WAY, sampleRecord());
  const committed = await cli(["upgrade", "--json", "--socket", good.socket]);
  assertEquals([committed.code, committed.stderr], [0, ""]);
  assertEquals(committed.stdout, `${JSON.stringify(sampleRecord())}\n`);

  const record = sampleRecord({ outcome: "rolled-back", reason: "it threw: Error: no" });
  await using bad = await updating("break", record);
  const back = await cli(["upgrade", "--json", "--socket", bad.socket]);
  assertEquals([back.code, back.stdout], [1, `${JSON.stringify(record)}\n`]);
  assertEquals(
    back.stderr,
    "heirloom: update a1 rolled-back: generation 3, pause 12.3 ms: it threw: Error: no\n",
  );
});

Deno.test("upgrade exits 1 where the service refuses to start one, 3 where there is none", async () => {
  await using busy = await startFake((_request, response) =>
    json(response, 409, { error: { code: "EBUSY", message: "Cannot update: update z9 is under way" } })
  );
  const refused = await cli(["upgrade", "--json", "--socket", busy.socket]);
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertEquals(refused.stderr, "heirloom: Cannot update: update z9 is under way\n");
  const nobody = await cli(["upgrade", "--socket", `${busy.socket}x`]);
  assertEquals([nobody.code, nobody.stdout], [3, ""]);
  assertStringIncludes(nobody.stderr, "nobody serves it");
});

Deno.test("upgrade exits 4 when no verdict comes within the deadline and ten seconds more", async () => {
  await using fake = await updating(UNDER_WAY);
  await using gone = await startFake((_request, response) => {
    json(response, 202, { id: "a1" });
    response.on("finish", () => void gone.leave());
  });
  const begun = performance.now();
  const run = (socket: string) => cli(["upgrade", "--socket", socket, "--timeout", "0.1"]);
  const [late, nobody] = await Promise.all([run(fake.socket), run(gone.socket)]);
  assertEquals(performance.now() - begun >= 10_100, true);
  assertEquals([late.code, late.stdout, nobody.code, nobody.stdout], [4, "", 4, ""]);
  const message = "heirloom: Cannot tell how update a1 ended: no verdict after 10.1 s";
  assertEquals(late.stderr, `${message}\n`);
  assertEquals(nobody.stderr, `${message}; Cannot ask ${gone.socket}: nobody serves it (ENOENT)\n`);
});

Deno.test("upgrade exits 4 when the request is not answered, for an update may be under way", async () => {
  await using broken = await startFake((request) => void request.socket.destroy());
  const { code, stdout, stderr } = await cli(["upgrade", "--socket", broken.socket]);
  assertEquals([code, stdout], [4, ""]);
  assertStringIncludes(stderr, "the connection broke before the answer was complete");
});
