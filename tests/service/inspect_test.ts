import { assertEquals, assertMatch } from "@std/assert";
import { encodeCbor } from "../../kho/codec.ts";
import { assertNothingLost, freePort, heirloomRoot, snapshot, waitFor } from "../../testing/mod.ts";
import { builds, READY_IN_CHECK, runCommand, startHeld } from "../update/_fixtures.ts";

const CLI = [Deno.execPath(), "run", "-A", `${heirloomRoot()}/main.ts`];

Deno.test("inspect prints the segment of a real update, and says what is wrong with a file that is none", async (t) => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  // A build in probation holds the segment; from outside it can be copied out of its descriptor.
  const waiting = await all.write("waiting", {
    label: "v2",
    ready: `${READY_IN_CHECK}for (;;) {
  try { Deno.statSync("${gate}"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
}
await live.ready();`,
  });
  const first = await all.write("first");
  await using held = await startHeld(first, freePort());
  const { pid } = held.app;
  const update = held.app.upgrade({ build: waiting });
  const file = `${all.path}/handover.cbor`;
  await waitFor(async () => {
    for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
      const link = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
      if (link.startsWith("/memfd:kho:handover")) {
        await Deno.copyFile(`/proc/${pid}/fd/${name}`, file);
        return true;
      }
    }
    return false;
  }, { what: "the segment", timeoutMs: 30_000 });
  await waitFor(async () => (await held.app.status()).state === "probation", { what: "the probation" });
  await Deno.writeTextFile(gate, "");
  const record = await update;
  assertEquals(record.outcome, "committed");

  await t.step("as JSON", async () => {
    const { code, stdout, stderr } = await runCommand([...CLI, "inspect", file, "--json"]);
    assertEquals([code, stderr], [0, ""]);
    const segment = JSON.parse(stdout);
    assertEquals([segment.version, segment.bytes], ["kho-v1", record.segment_bytes]);
    assertEquals([segment.metadata.pid, segment.metadata.count], [pid, "1"]);
    assertEquals(segment.image.entry, first);
    assertEquals(segment.fds.length, record.fds);
    assertEquals(Object.keys(segment.subtrees).sort(), ["history", "live", "luo"]);
    assertEquals(segment.subtrees.live, [{ name: "lines", version: 1, value: 1 }]);
    const { sessions } = segment.subtrees.luo;
    assertEquals(sessions.map(({ name }: { name: string }) => name), ["heirloom"]);
    const handlers = sessions[0].files.map(({ compatible }: { compatible: string }) => compatible);
    assertEquals(handlers.length, record.files);
    assertEquals(new Set(handlers), new Set(["memfd-v1", "file-v1", "listener-v1", "stream-v1"]));
  });
  await t.step("as text", async () => {
    const { code, stdout, stderr } = await runCommand([...CLI, "inspect", file]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, new RegExp(`written by process ${pid}`));
    assertMatch(stdout, /memfd-v1/);
  });

  const bytes = await Deno.readFile(file);
  const damaged = bytes.slice();
  damaged[damaged.length >> 1]! ^= 0xff;
  const bad: [string, Uint8Array, RegExp][] = [
    ["empty", new Uint8Array(), /envelope is damaged/],
    ["truncated", bytes.subarray(0, bytes.length - 1), /envelope is damaged/],
    ["damaged", damaged, /checksum is wrong/],
    ["longer", new Uint8Array([...bytes, 0]), /envelope is damaged/],
    [
      "of another version",
      encodeCbor(["kho-v9", new Uint8Array(32), new Uint8Array()]),
      /"kho-v9", this build reads/,
    ],
    ["text", new TextEncoder().encode("hello"), /Cannot read the handover/],
  ];
  for (const [name, content, says] of bad) {
    await t.step(name, async () => {
      await Deno.writeFile(`${all.path}/bad`, content);
      const { code, stdout, stderr } = await runCommand([...CLI, "inspect", `${all.path}/bad`]);
      assertEquals([code, stdout], [1, ""], stderr);
      assertMatch(stderr, says);
    });
  }
  const { code, stderr } = await runCommand([...CLI, "inspect", `${all.path}/not-there`]);
  assertEquals(code, 1);
  assertMatch(stderr, /not-there/);
});

Deno.test("inspect --live prints what would be handed over now, and changes nothing", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const before = await snapshot(held.app);
  const { code, stdout, stderr } = await held.app.cli("inspect", ["--live", "--json"]);
  assertEquals([code, stderr], [0, ""]);
  const segment = JSON.parse(stdout);
  assertEquals(segment.metadata.pid, held.app.pid);
  const files = segment.subtrees.luo.sessions[0].files as { token: string }[];
  const [session] = await held.app.sessions();
  const tokens = new Set(files.map(({ token }) => token));
  assertEquals(session!.files.filter(({ token }) => !tokens.has(token)), []);
  const text = await held.app.cli("inspect", ["--live"]);
  assertEquals(text.code, 0, text.stderr);
  assertMatch(text.stdout, /listener-v1/);
  assertNothingLost(before, await snapshot(held.app), { updates: 0 });
  await held.holds("v1", 0);
  await held.commits(await all.write("second", { label: "v2" }), "v2");
});
