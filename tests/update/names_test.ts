import { assertEquals } from "@std/assert";
import { freePort, startApp } from "../../testing/mod.ts";
import { builds, Client, LIBRARY } from "./_fixtures.ts";

/** An application of a few resources; what it answers is given by an expression. */
function small(use: string, answer: string): string {
  return `import { open } from "${LIBRARY}";
const live = await open();
${use}
const handler = () => Response.json(${answer});
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, handler);
await live.ready();
`;
}

const FULL = small(
  `const memory = await live.segment("memory", { size: 16 });
memory.bytes[0] += 1;
const log = await live.file("log", "app.log", { append: true, create: true });
log.write("once\\n");
live.state("count", { version: 1, save: () => 41, load: () => {} });`,
  "[memory.bytes[0], live.generation]",
);

Deno.test("names that a build keeps are carried, names that it ignores are dropped and told", async () => {
  await using all = builds();
  const full = await all.write("full", FULL);
  const keeping = await all.write(
    "keeping",
    small(
      'const kept = ["memory", "log", "count", "nothing"].map((name) => live.keep(name));',
      "[kept, live.generation]",
    ),
  );
  const ignoring = await all.write("ignoring", small("", "[live.generation]"));
  const port = freePort();
  await using app = await startApp({ entry: full, args: [String(port)] });
  using client = await Client.open(port);
  const look = async (): Promise<unknown> => JSON.parse(await client.text("/"));
  const tokens = async (): Promise<Record<string, string>> => {
    const [session] = (await app.sessions()).filter(({ name }) => name === "heirloom");
    return Object.fromEntries(
      session!.files.filter(({ name }) => name !== null).map(({ name, token }) => [name!, token]),
    );
  };

  assertEquals(await look(), [1, 0]);
  const before = await tokens();
  assertEquals((await app.upgrade({ build: keeping })).dropped, []);
  assertEquals(await look(), [[true, true, true, false], 1]);
  assertEquals(await tokens(), before, "what is kept keeps its token");

  // Kept twice is kept; and whoever wants it again finds it as it was.
  assertEquals((await app.upgrade({ build: keeping })).dropped, []);
  assertEquals((await app.upgrade({ build: full })).dropped, []);
  assertEquals(await look(), [2, 3]);
  assertEquals(await Deno.readTextFile(`${app.dir}/app.log`), "once\nonce\n");

  const record = await app.upgrade({ build: ignoring });
  assertEquals([record.outcome, [...record.dropped].sort()], ["committed", ["count", "log", "memory"]]);
  assertEquals(Object.keys(await tokens()).sort(), ["@control", "web"]);
  assertEquals((await app.upgrade({ build: full })).dropped, []);
  assertEquals(await look(), [1, 5], "what was dropped begins anew");
});
