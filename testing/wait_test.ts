import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { freePort, tempDir, waitFor } from "./wait.ts";

Deno.test("waitFor gives the first truthy value", async () => {
  let asked = 0;
  const value = await waitFor(() => ++asked >= 3 ? "there" : null, { what: "three", intervalMs: 1 });
  assertEquals([value, asked], ["there", 3]);
});

Deno.test("waitFor takes an attempt that throws as not yet", async () => {
  let asked = 0;
  const attempt = (): Promise<number> =>
    ++asked < 3 ? Promise.reject(new Error("no")) : Promise.resolve(asked);
  assertEquals(await waitFor(attempt, { what: "three", intervalMs: 1 }), 3);
});

Deno.test("waitFor says what it waited for and what the last attempt said", async () => {
  const error = await assertRejects(
    () =>
      waitFor(() => {
        throw new RangeError("still dark");
      }, { what: "the sun", timeoutMs: 30, intervalMs: 5 }),
    Deno.errors.TimedOut,
  );
  assertEquals(error.message, "Cannot wait for the sun: not so within 30 ms (last attempt: still dark)");
  assert(error.cause instanceof RangeError);
});

Deno.test("waitFor gives up an attempt that does not return", async () => {
  const error = await assertRejects(
    () => waitFor(() => new Promise<boolean>(() => {}), { what: "nothing", timeoutMs: 30 }),
    Deno.errors.TimedOut,
  );
  assertStringIncludes(error.message, "nothing");
});

Deno.test("waitFor asks once even without any time", async () => {
  assertEquals(await waitFor(() => 7, { what: "seven", timeoutMs: 0 }), 7);
});

Deno.test("freePort is free and below the ports of outgoing connections", () => {
  const range = Deno.readTextFileSync("/proc/sys/net/ipv4/ip_local_port_range");
  const ports = Array.from({ length: 20 }, () => freePort());
  for (const port of ports) {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    assert(port < Number.parseInt(range, 10), `${port} is not below ${range}`);
  }
  assert(new Set(ports).size > 1);
});

Deno.test("tempDir is private and gone after use, with what is in it", async () => {
  let path: string;
  {
    await using dir = tempDir();
    path = dir.path;
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o700);
    await Deno.writeTextFile(`${path}/file`, "x");
  }
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
});

Deno.test("tempDir may be removed before it is disposed", async () => {
  await using dir = tempDir();
  await Deno.remove(dir.path);
});

Deno.test("tempDir is short enough for a socket where TMPDIR is not", async () => {
  await using outer = tempDir();
  const long = `${outer.path}/${"x".repeat(90)}`;
  await Deno.mkdir(long);
  const before = Deno.env.get("TMPDIR");
  Deno.env.set("TMPDIR", long);
  try {
    await using dir = tempDir();
    assert(dir.path.length < 80, dir.path);
    assertEquals([...Deno.readDirSync(long)], []);
  } finally {
    if (before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", before);
  }
});
