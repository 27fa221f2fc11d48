import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  assertNoFailures,
  ConnectionFault,
  descriptors,
  freePort,
  startApp,
  startLoad,
  tempDir,
} from "../../testing/mod.ts";
import { builds, Client, LIBRARY, once, READY_IN_CHECK } from "../update/_fixtures.ts";

/** An application that listens where its builds say, and answers with a label. */
function listening(label: string, addresses: Record<string, unknown>): string {
  return `import { open } from "${LIBRARY}";
const live = await open();
for (const [name, address] of Object.entries(${JSON.stringify(addresses)})) {
  await live.serve(name, address, () => new Response("${label}"));
}
await live.ready();
`;
}

/** Some containers have no IPv6, not even on the loopback. */
function missingIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return false;
  } catch (error) {
    console.log(`ignored: no IPv6 here: ${error instanceof Error ? error.message : error}`);
    return true;
  }
}

Deno.test("unix sockets, by path and abstract, are carried with their connections", async () => {
  await using all = builds();
  await using dir = tempDir();
  const path = `${dir.path}/app.sock`;
  const name = `heirloom-test-${crypto.randomUUID()}`;
  const addresses = { path: { path }, abstract: { path: `@${name}` } };
  await using app = await startApp({ entry: await all.write("one", listening("one", addresses)) });
  const { ino } = await Deno.stat(path);
  using byPath = await Client.open({ unix: path });
  using abstract = await Client.open({ unix: `\0${name}` });
  assertEquals([await byPath.text("/"), await abstract.text("/")], ["one", "one"]);

  const two = await all.write("two", listening("two", addresses));
  assertEquals((await app.upgrade({ build: two })).outcome, "committed");
  assertEquals([await byPath.text("/"), await abstract.text("/")], ["two", "two"]);
  assertEquals([await once({ unix: path }, "/"), await once({ unix: `\0${name}` }, "/")], ["two", "two"]);
  assertEquals((await Deno.stat(path)).ino, ino, "the socket was not bound again");
});

Deno.test("an IPv6 listener is carried with its connections", { ignore: missingIpv6() }, async () => {
  await using all = builds();
  const port = freePort("::1");
  const addresses = { six: { hostname: "::1", port } };
  await using app = await startApp({ entry: await all.write("one", listening("one", addresses)) });
  const load = startLoad({ target: { hostname: "::1", port }, keepAlive: 2, newPerSecond: 20 });
  const two = await all.write("two", listening("two", addresses));
  assertEquals((await app.upgrade({ build: two })).outcome, "committed");
  assertEquals(await (await fetch(`http://[::1]:${port}/`)).text(), "two");
  const report = await load.stop();
  assertNoFailures(report);
  assertEquals(report.keepAliveClosed, 0);
});

Deno.test("a build that listens on another port gets it, and the old one is closed", async () => {
  await using all = builds();
  const [first, second] = [freePort(), freePort()];
  const at = (port: number): Record<string, unknown> => ({ web: { hostname: "127.0.0.1", port } });
  await using app = await startApp({ entry: await all.write("one", listening("one", at(first))) });
  assertEquals(await once(first, "/"), "one");

  // A build that fails after it has bound the other port leaves nothing of it.
  const failing = listening("two", at(second)).replace(
    "await live.ready();",
    `${READY_IN_CHECK}throw new Error("no");`,
  );
  assertEquals((await app.upgrade({ build: await all.write("failing", failing) })).outcome, "rolled-back");
  assertEquals(await once(first, "/"), "one");
  const refused = await assertRejects(() => Client.open(second), ConnectionFault);
  assertEquals(refused.reason, "refused");

  assertEquals(
    (await app.upgrade({ build: await all.write("two", listening("two", at(second))) })).outcome,
    "committed",
  );
  assertEquals(await once(second, "/"), "two");
  assertEquals((await assertRejects(() => Client.open(first), ConnectionFault)).reason, "refused");
  const ports = descriptors(app.pid).map(({ description }) => description).filter((each) =>
    each.includes("listening")
  );
  assertEquals(
    new Set(ports.filter((each) => each.startsWith("tcp"))),
    new Set([`tcp 127.0.0.1:${second} listening`]),
  );
});

Deno.test("a port that is taken fails the build, not the service", async () => {
  await using all = builds();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = freePort();
  const at = (port: number): Record<string, unknown> => ({ web: { hostname: "127.0.0.1", port } });
  await using app = await startApp({ entry: await all.write("one", listening("one", at(port))) });
  using client = await Client.open(port);
  assertEquals(await client.text("/"), "one");
  const record = await app.upgrade({ build: await all.write("two", listening("two", at(taken.addr.port))) });
  assertEquals(record.outcome, "rolled-back");
  assertMatch(record.reason ?? "", /EADDRINUSE/);
  assertEquals([await client.text("/"), await once(port, "/")], ["one", "one"]);
});

Deno.test("a free port that the kernel chose stays the same, and a server that is gone closes", async () => {
  await using all = builds();
  const entry = await all.write(
    "one",
    `${listening("one", { extra: { hostname: "127.0.0.1", port: 0 } })}`.replace(
      "await live.ready();",
      `const web = await live.serve("web", { hostname: "127.0.0.1", port: 0 }, () => new Response(String(live.generation)));
console.log("port", web.address.port);
await live.ready();`,
    ),
  );
  await using app = await startApp({ entry });
  const port = Number(/port (\d+)/.exec(app.output().stdout)?.[1]);
  assert(port > 0);
  await using load = startLoad({ target: { hostname: "127.0.0.1", port }, keepAlive: 2, newPerSecond: 20 });
  for (let round = 1; round <= 3; round++) {
    assertEquals((await app.upgrade()).outcome, "committed");
    assertEquals(await once(port, "/"), String(round));
  }
  const report = await load.stop();
  assertEquals([report.failed, report.keepAliveClosed], [0, 0], String(report));
  const ports = new Set([...app.output().stdout.matchAll(/port (\d+)/g)].map(([, found]) => Number(found)));
  assertEquals(ports, new Set([port]));

  const bare = await all.write("bare", listening("bare", { other: { hostname: "127.0.0.1", port: 0 } }));
  const record = await app.upgrade({ build: bare });
  assertEquals([record.outcome, [...record.dropped].sort()], ["committed", ["extra", "web"]]);
  assertEquals((await assertRejects(() => Client.open(port), ConnectionFault)).reason, "refused");
});
