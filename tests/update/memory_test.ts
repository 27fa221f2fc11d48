import { assert, assertEquals } from "@std/assert";
import { freePort, residentBytes, startApp } from "../../testing/mod.ts";
import { builds, Client, LIBRARY, once, READY_IN_CHECK } from "./_fixtures.ts";

/** Updates of each size whose median is compared. */
const ROUNDS = 7;

/** An application that holds one memfd of a size, with a few bytes at its end, and does not map it. */
function holder(size: string): string {
  return `import { open } from "${LIBRARY}";
import { createMemfd, pwrite, pread, fstat } from "${LIBRARY.replace("mod.ts", "sys/mod.ts")}";
const live = await open();
const size = ${size};
const memory = await live.inherit("memory", () => {
  const made = createMemfd("sparse", { size });
  pwrite(made.fd, new TextEncoder().encode("the end"), size - 7);
  return made;
});
const handler = () => {
  const bytes = new Uint8Array(7);
  pread(memory.fd, bytes, size - 7);
  return new Response(JSON.stringify([new TextDecoder().decode(bytes), Number(fstat(memory.fd).size)]));
};
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, handler);
await live.ready();
`;
}

Deno.test("a sparse memfd of 4 GiB costs the same pause as one of 4 KiB", async () => {
  await using all = builds();
  const ports = [freePort(), freePort()];
  const sizes = [4096, 4 * 2 ** 30];
  const entries = [await all.write("small", holder("4096")), await all.write("large", holder("4 * 2 ** 30"))];
  await using small = await startApp({ entry: entries[0]!, args: [String(ports[0])] });
  await using large = await startApp({ entry: entries[1]!, args: [String(ports[1])] });
  const pauses: [number[], number[]] = [[], []];
  // Alternating, so that whatever else the machine does meets both.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, app] of [small, large].entries()) {
      const record = await app.upgrade();
      assertEquals([record.outcome, record.reason], ["committed", null]);
      pauses[at]!.push(record.blackout_ms!);
      assertEquals(JSON.parse(await once(ports[at]!, "/")), ["the end", sizes[at]]);
    }
  }
  const [small4k, large4g] = pauses.map((values) =>
    values.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)]!
  );
  // Copying 4 GiB takes more than a second; what is allowed here is noise.
  assert(large4g! <= 2 * small4k! + 100, `median pause ${large4g} ms with 4 GiB, ${small4k} ms with 4 KiB`);
  const resident = residentBytes(large.pid);
  assert(resident < 2 ** 29, `the memory is not sparse any more: ${resident} bytes are resident`);
});

/** An application with a mapped segment of a size; `/write` marks its first and last byte, `/look` shows it. */
function mapped(size: number): string {
  return `import { open } from "${LIBRARY}";
const live = await open();
const memory = await live.segment("memory", { size: ${size} });
const atLoad = memory.bytes.length;
const handler = (request: Request) => {
  const { bytes } = memory;
  if (request.url.endsWith("/write")) { bytes[0] = 7; bytes[bytes.length - 1] = 9; }
  return Response.json({ atLoad, shown: bytes.length, size: memory.size, first: bytes[0], last: bytes.at(-1) });
};
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, handler);
await live.ready();
`;
}

Deno.test("a segment asked for larger grows at the commit; asked for smaller, it shows its beginning", async () => {
  await using all = builds();
  const port = freePort();
  const entry = await all.write("first", mapped(10_000));
  const larger = await all.write("larger", mapped(50_000));
  const smaller = await all.write("smaller", mapped(100));
  const failing = await all.write(
    "failing",
    mapped(90_000).replace("await live.ready();", `${READY_IN_CHECK}throw new Error("no");`),
  );
  await using app = await startApp({ entry, args: [String(port)] });
  using client = await Client.open(port);
  const look = async (path = "/look"): Promise<unknown> => JSON.parse(await client.text(path));

  assertEquals(await look("/write"), { atLoad: 10_000, shown: 10_000, size: 10_000, first: 7, last: 9 });
  // A build that fails does not change the size.
  assertEquals((await app.upgrade({ build: failing })).outcome, "rolled-back");
  assertEquals(await look(), { atLoad: 10_000, shown: 10_000, size: 10_000, first: 7, last: 9 });

  assertEquals((await app.upgrade({ build: larger })).outcome, "committed");
  assertEquals(await look(), { atLoad: 10_000, shown: 50_000, size: 50_000, first: 7, last: 0 });
  await look("/write");

  assertEquals((await app.upgrade({ build: smaller })).outcome, "committed");
  assertEquals(await look(), { atLoad: 100, shown: 100, size: 50_000, first: 7, last: 0 });

  assertEquals((await app.upgrade({ build: larger })).outcome, "committed");
  assertEquals(await look(), { atLoad: 50_000, shown: 50_000, size: 50_000, first: 7, last: 9 });
});
