import { assertEquals, assertRejects } from "@std/assert";
import { startApp } from "./app.ts";
import type { TestApp } from "./app_types.ts";
import { ControlCallError } from "./control.ts";
import { tempDir } from "./wait.ts";

/** A service that is none: it answers as it is told, writes every request down, and ends the way `LEAVE` says. */
const FAKE = `
const socket = Deno.env.get("HEIRLOOM_SOCKET");
const record = { id: "a1", outcome: "lost", reason: "the old build failed as well", pid: Deno.pid, phases: [] };
const leave = Deno.env.get("LEAVE");
Deno.serve({ path: socket, onListen: () => {} }, async (request) => {
  const { pathname } = new URL(request.url);
  const body = await request.text();
  if (request.method === "POST") console.log(pathname + " " + body);
  if (pathname === "/v1/status") return Response.json({ pid: Deno.pid, state: "serving" });
  if (pathname === "/v1/check" && body.includes("busy")) {
    return Response.json({ error: { code: "EBUSY", message: "An update runs" } }, { status: 409 });
  }
  if (pathname === "/v1/check") return Response.json({ ok: false, reason: "no" });
  if (pathname === "/v1/upgrade") return Response.json({ id: "a1" }, { status: 202 });
  if (leave === "words") Deno.writeTextFileSync(socket + ".last.json", JSON.stringify(record));
  if (leave === "other") Deno.writeTextFileSync(socket + ".last.json", JSON.stringify({ ...record, id: "b2" }));
  if (leave !== undefined) Deno.exit(70);
  return Response.json({ ...record, outcome: "committed" });
});
`;

async function withFake(leave: string | null, test: (app: TestApp) => Promise<void>): Promise<void> {
  await using dir = tempDir();
  Deno.writeTextFileSync(`${dir.path}/fake.ts`, FAKE);
  const env: Record<string, string> = leave === null ? {} : { LEAVE: leave };
  await using app = await startApp({ mode: "plain", entry: `${dir.path}/fake.ts`, env });
  await test(app);
}

/** The body of the request so far, by path. */
function bodyOf(app: TestApp, path: string): unknown {
  const line = app.output().stdout.split("\n").find((line) => line.startsWith(`${path} `));
  return JSON.parse(line?.slice(path.length + 1) ?? "null");
}

Deno.test("TestApp.check gives the report, also of a build that would not take over", async () => {
  await withFake(null, async (app) => {
    const report: { ok: boolean; reason: string | null } = await app.check({
      build: "/v2.ts",
      timeoutS: 1.5,
    });
    assertEquals(report, { ok: false, reason: "no" });
    assertEquals(bodyOf(app, "/v1/check"), { build: "/v2.ts", timeout_ms: 1500 });
    const error = await assertRejects(() => app.check({ build: "/busy.ts" }), ControlCallError);
    assertEquals(error.code, "EBUSY");
  });
});

Deno.test("TestApp.upgrade asks for what it is told", async () => {
  await withFake(null, async (app) => {
    await app.upgrade({ rollback: true, commitAfterS: 0.25, guardian: false, timeoutS: 5 });
    assertEquals(bodyOf(app, "/v1/upgrade"), {
      rollback: true,
      commit_after_ms: 250,
      guardian: false,
      timeout_ms: 5000,
    });
  });
});

Deno.test("TestApp.upgrade gives the last words of a service that ended for good", async () => {
  await withFake("words", async (app) => {
    const record = await app.upgrade();
    assertEquals([record.id, record.outcome, record.reason], ["a1", "lost", "the old build failed as well"]);
    assertEquals([(await app.exited).code, app.processes()], [70, []]);
  });
});

Deno.test("TestApp.upgrade fails where a service ended without a word, or with words about another update", async () => {
  for (const leave of ["silently", "other"]) {
    await withFake(leave, async (app) => {
      const message = "Cannot learn the outcome of update a1: no process of the service is left";
      await assertRejects(() => app.upgrade(), Deno.errors.TimedOut, message);
    });
  }
});
