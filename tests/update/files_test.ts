import { assert, assertEquals } from "@std/assert";
import { freePort, startApp } from "../../testing/mod.ts";
import { builds, Client, LIBRARY, READY_IN_CHECK } from "./_fixtures.ts";

/** An application that reads a file piece by piece and writes another one at a place of its own choice. */
const APP = `import { open } from "${LIBRARY}";
const live = await open();
const input = await live.file("input", "input.txt");
const output = await live.file("output", "output.txt", { write: true, create: true, truncate: true, mode: 0o600 });
const handler = (request: Request) => {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/read") {
    const piece = new Uint8Array(4);
    return new Response(new TextDecoder().decode(piece.subarray(0, input.read(piece))));
  }
  if (pathname === "/write") { output.write(searchParams.get("text")); return new Response(String(output.seek(0, "cur"))); }
  if (pathname === "/seek") return new Response(String(output.seek(Number(searchParams.get("to")))));
  if (pathname === "/path") return Response.json([input.path, output.path]);
  if (pathname === "/reopen") { output.reopen(); return new Response("reopened"); }
  return new Response("?", { status: 404 });
};
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, handler);
await live.ready();
`;

Deno.test("open files keep their position, also when their path was replaced or unlinked", async () => {
  await using all = builds();
  const entry = await all.write("app", APP);
  const port = freePort();
  await Deno.writeTextFile(`${all.path}/input.txt`, "aaaabbbbccccdddd");
  await using app = await startApp({ entry, args: [String(port)], cwd: all.path });
  using client = await Client.open(port);
  const update = async (): Promise<void> => assertEquals((await app.upgrade()).outcome, "committed");
  const output = (): Promise<string> => Deno.readTextFile(`${all.path}/output.txt`);

  assertEquals([await client.text("/read"), await client.text("/write?text=0123456789")], ["aaaa", "10"]);
  assertEquals(await client.text("/seek?to=4"), "4");
  await update();
  assertEquals([await client.text("/read"), await client.text("/write?text=XY")], ["bbbb", "6"]);
  assertEquals(await output(), "0123XY6789", "not emptied, and written where it stood");

  await Deno.remove(`${all.path}/input.txt`);
  await Deno.rename(`${all.path}/output.txt`, `${all.path}/output.txt.1`);
  await Deno.writeTextFile(`${all.path}/output.txt`, "another file");
  await update();
  assertEquals(JSON.parse(await client.text("/path"))[0], "unlinked");
  assertEquals([await client.text("/read"), await client.text("/write?text=!")], ["cccc", "7"]);
  assertEquals(await Deno.readTextFile(`${all.path}/output.txt.1`), "0123XY!789");
  assertEquals(await output(), "another file");

  assertEquals(await client.text("/reopen"), "reopened");
  assertEquals(await client.text("/write?text=ANOTHER"), "7");
  await update();
  assertEquals(await client.text("/write?text=%20"), "8");
  assertEquals(await output(), "ANOTHER file");
  assertEquals(JSON.parse(await client.text("/path")), ["unlinked", "same"]);
  const { mode } = await Deno.stat(`${all.path}/output.txt.1`);
  assertEquals(mode! & 0o777, 0o600);
});

/** An application that holds a lock on a file, and a log. */
const LOCKING = `import { open } from "${LIBRARY}";
import { lockFile } from "${LIBRARY.replace("mod.ts", "sys/mod.ts")}";
const live = await open();
const file = await live.file("locked", "locked.txt", { write: true, create: true });
if (live.generation === 0) lockFile(file.fd);
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, () => new Response("x"));
await live.ready();
`;

Deno.test("a lock of flock(2) is held without a gap over updates, and one that fails", async () => {
  await using all = builds();
  const entry = await all.write("app", LOCKING);
  const bad = await all.write(
    "bad",
    LOCKING.replace("await live.ready();", `${READY_IN_CHECK}throw new Error("no");`),
  );
  await using app = await startApp({ entry, args: [String(freePort())], cwd: all.path });
  using file = await Deno.open(`${all.path}/locked.txt`, { write: true });
  let got = false;
  const waiting = file.lock(true).then(() => got = true);
  for (
    const [build, outcome] of [[entry, "committed"], [bad, "rolled-back"], [entry, "committed"]] as const
  ) {
    assertEquals((await app.upgrade({ build })).outcome, outcome);
    assert(!got, "the lock was lost");
  }
  await app.stop();
  await waiting;
  assert(got);
});
