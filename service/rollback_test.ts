import { assertEquals, assertRejects } from "@std/assert";

import type { RollbackCommand } from "./args.ts";
import { ControlError, NoServiceError } from "./control_client.ts";
import { cli, json, printed, sampleRecord, startFake } from "./helpers_test.ts";
import { rollback } from "./rollback.ts";

function commandFor(socket: string): RollbackCommand {
  const how = { timeoutMs: 20_000, commitAfterMs: undefined, guardian: true };
  return { command: "rollback", socket, json: false, ...how };
}

Deno.test("rollback() asks for the previous build and names none", async () => {
  await using fake = await startFake((request, response) => {
    if (request.method === "POST") json(response, 202, { id: "a1" });
    else json(response, 200, sampleRecord());
  });
  const { out } = await printed(async () => assertEquals(await rollback(commandFor(fake.socket)), 0));
  assertEquals(out, [
    "update a1 committed: generation 3, pause 12.3 ms, now 2.0.0 ba9876543210 (/srv/v2.ts)",
  ]);
  assertEquals(JSON.parse(fake.requests[0]?.replace("POST /v1/upgrade ", "") ?? ""), {
    rollback: true,
    timeout_ms: 20_000,
    guardian: true,
  });
});

Deno.test("rollback() throws where there is no previous build, or no service", async () => {
  const message = "Cannot update: there is no previous build";
  await using first = await startFake((_request, response) =>
    json(response, 400, { error: { code: "EINVAL", message } })
  );
  await assertRejects(() => rollback(commandFor(first.socket)), ControlError, message);
  await assertRejects(() => rollback(commandFor("/nowhere/s.sock")), NoServiceError);
});

Deno.test("rollback exits as upgrade does", async () => {
  const record = sampleRecord({ outcome: "refused", reason: "it is gone" });
  await using fake = await startFake((request, response) => {
    if (request.method === "POST") json(response, 202, { id: "a1" });
    else json(response, 200, record);
  });
  const args = ["--socket", fake.socket, "--no-guardian", "--commit-after", "0.5", "--timeout", "5"];
  const refused = await cli(["rollback", "--json", ...args]);
  assertEquals([refused.code, refused.stdout], [1, `${JSON.stringify(record)}\n`]);
  assertEquals(JSON.parse(fake.requests[0]?.replace("POST /v1/upgrade ", "") ?? ""), {
    rollback: true,
    timeout_ms: 5000,
    guardian: false,
    commit_after_ms: 500,
  });
  assertEquals((await cli(["rollback", "--socket", `${fake.socket}x`])).code, 3);
  assertEquals((await cli(["rollback", "--build", "x", "--socket", fake.socket])).code, 2);
});
