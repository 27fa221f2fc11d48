import { assertEquals, assertMatch } from "@std/assert";
import { parseInterests } from "../../sys/epoll.ts";
import { createSocket } from "../../sys/mod.ts";
import { sendDatagram } from "../../sys/network.ts";
import { heirloomRoot, type TestApp } from "../../testing/mod.ts";
import { READY_IN_CHECK } from "../update/_fixtures.ts";
import { carries, fdInfoOf, running } from "./_kit.ts";
import { refusesSwapped, SWAP_ROUTE, SWAPPING } from "./_swap.ts";

const BEFORE = `
import {
  bindSocket, createSocket, dupFd, getsockname, read,
} from "file://${heirloomRoot()}/sys/mod.ts";
${SWAPPING}
const bound = () => {
  const socket = createSocket("inet", "datagram");
  bindSocket(socket.fd, { family: "inet", host: "127.0.0.1", port: 0 });
  return socket;
};`;

/** Sockets, an epoll in an epoll: entries that are level and edge triggered, disarmed, with all bits of data. */
const USE = `
const sockets = new Map();
for (const name of ["level", "edge", "once"]) sockets.set(name, await live.inherit(name, bound));
const inner = await live.epoll("inner");
const loop = await live.epoll("loop");
if (live.generation === 0 && loop.entries().length === 0) {
  loop.add(sockets.get("level"), ["in"], 1n);
  loop.add(sockets.get("edge"), ["in", "et", "rdhup"], 2n ** 64n - 1n);
  loop.add(inner.fd, ["in"], 3n);
  inner.add(sockets.get("once"), ["in", "oneshot"], 4n);
}`;

const ROUTES = `${SWAP_ROUTE}
const named = () => sockets.get(query.get("socket"));
const shown = (list) => JSON.stringify(list, (_, value) => typeof value === "bigint" ? String(value) : value);
try {
  switch (path) {
    case "/wait": return new Response(shown(loop.wait()));
    case "/inner": return new Response(shown(inner.wait()));
    case "/entries": return new Response(shown(loop.entries()));
    case "/port": return new Response(String(getsockname(named().fd).port));
    case "/fd": return new Response(String(named().fd));
    case "/read": return new Response(String(read(named().fd, new Uint8Array(100))));
    case "/modify": loop.modify(named(), query.get("events").split(","), BigInt(query.get("data"))); break;
    case "/rearm": inner.modify(named(), ["in", "oneshot"], 4n); break;
    case "/remove": loop.remove(named()); break;
    case "/add": loop.add(named(), query.get("events").split(","), BigInt(query.get("data"))); break;
    case "/uncarried": sockets.set("uncarried", bound()); loop.add(sockets.get("uncarried"), ["in"], 9n); break;
    case "/reuse": {
      // The number of "level" becomes another socket; the file itself is open in the handover only.
      using other = bound();
      dupOnto(other.fd, sockets.get("level").fd);
      break;
    }
    case "/twice": await live.inherit("second", () => dupFd(loop.fd)); break;
  }
  if (path.length > 1 && !["/fill", "/hash", "/line", "/lines", "/slow", "/generation"].includes(path)) {
    return new Response("done");
  }
} catch (error) {
  return new Response((error.code ?? "") + " " + error.message);
}`;

const PARTS = { before: BEFORE, use: USE, routes: ROUTES };

/** The entries as they are seen from outside: each with the file that is open under its number. */
async function entries(app: TestApp, name: string): Promise<string[]> {
  const found = parseInterests(await fdInfoOf(app, name));
  const links = found.map(async ({ tfd, events, data, ino }) => {
    const link = await Deno.readLink(`/proc/${app.pid}/fd/${tfd}`);
    return `${events.toString(16)} ${data} ${link} ${link.startsWith("socket") ? ino : ""}`.trim();
  });
  return (await Promise.all(links)).sort();
}

/** Loopback delivers within the call. */
function send(port: number): void {
  using socket = createSocket("inet", "datagram");
  sendDatagram(socket.fd, new Uint8Array(3), { family: "inet", host: "127.0.0.1", port });
}

const LEVEL = { data: "1", events: ["in"] };
const EDGE = { data: "18446744073709551615", events: ["in"] };
const INNER = { data: "3", events: ["in"] };
const ONCE = { data: "4", events: ["in"] };

interface Ready {
  data: string;
  events: string[];
}

async function ready(ask: (path: string) => Promise<string>, path = "/wait"): Promise<Ready[]> {
  const found = JSON.parse(await ask(path)) as Ready[];
  return found.sort((a, b) => a.data < b.data ? -1 : 1);
}

Deno.test("interest lists are the same after each update, over the descriptors of the new build", async (t) => {
  await carries(t, {
    ...PARTS,
    look: async ({ app }) => [await entries(app, "loop"), await entries(app, "inner")],
    async works({ ask }) {
      for (const name of ["level", "edge", "once"]) send(Number(await ask(`/port?socket=${name}`)));
      assertEquals(await ready(ask), [LEVEL, EDGE, INNER]);
      assertEquals(await ready(ask), [LEVEL, INNER], "a level is told again, an edge is not");
      assertEquals(await ready(ask, "/inner"), [ONCE]);
      assertEquals([await ready(ask, "/inner"), await ready(ask)], [[], [LEVEL]], "once is once");
      for (const name of ["level", "edge", "once"]) assertEquals(await ask(`/read?socket=${name}`), "3");
      assertEquals(await ready(ask), []);
      // The application can change and remove what it has taken over, under its own numbers.
      assertEquals(await ask("/rearm?socket=once"), "done");
      assertEquals(await ask("/modify?socket=level&events=out&data=7"), "done");
      assertEquals(await ready(ask), [{ data: "7", events: ["out"] }]);
      assertEquals(await ask("/remove?socket=level"), "done");
      assertMatch(await ask("/remove?socket=level"), /^ENOENT/);
      assertEquals(await ready(ask), []);
      assertEquals(await ask("/add?socket=level&events=in&data=1"), "done");
    },
  });
});

Deno.test("what is ready when an update comes is told behind it, with its data", async () => {
  await using service = await running(PARTS);
  const { ask } = service;
  for (const name of ["level", "edge", "once"]) send(Number(await ask(`/port?socket=${name}`)));
  assertEquals(await ready(ask), [LEVEL, EDGE, INNER]);
  assertEquals(await ready(ask, "/inner"), [ONCE]);
  const failing = { ...PARTS, ready: `${READY_IN_CHECK}throw new Error("no luck");` };
  for (const [build, outcome] of [[PARTS, "committed"], [failing, "rolled-back"]] as const) {
    await service.ends(outcome, build);
    assertEquals(
      await ready(ask),
      [LEVEL, EDGE],
      "what was told once stays disarmed, an edge is told once more",
    );
    assertEquals(await ready(ask, "/inner"), []);
    assertEquals(await ask("/rearm?socket=once"), "done");
    assertEquals(await ready(ask, "/inner"), [ONCE]);
  }
});

Deno.test("what is wrong with an epoll is refused, and the next update is good", async (t) => {
  await using service = await running(PARTS);
  const { app, ask } = service;
  const expected = await entries(app, "loop");
  const good = async (wanted = expected): Promise<void> => {
    await service.commits(PARTS);
    assertEquals(await entries(app, "loop"), wanted);
  };
  await t.step("an entry on a descriptor that is not carried", async () => {
    assertEquals(await ask("/uncarried"), "done");
    const fd = await ask("/fd?socket=uncarried");
    const sentence =
      `Cannot carry the entry on fd ${fd} of an epoll: its file, .*, is not preserved in session "heirloom"`;
    await service.refuses(PARTS, new RegExp(sentence));
    assertEquals(await ready(ask), [], "it goes on");
    assertEquals(await ask("/remove?socket=uncarried"), "done");
    await good();
  });
  await t.step("a name of another kind", async () => {
    await service.refuses(
      { use: 'await live.watch("loop");' },
      /Cannot take "loop" as a watch: it was handed over as an epoll/,
    );
    await good();
  });
  await t.step("registered under two names", async () => {
    assertMatch(await ask("/twice"), /^EBUSY .*the same resource is held already/);
    await good();
  });
  await t.step("changed kind behind our back", async () => {
    await refusesSwapped(service, "loop", "memfd", "an epoll", PARTS);
    await good();
  });
  await t.step("a number that is another file by now", async () => {
    assertEquals(await ask("/reuse"), "done");
    await good();
    send(Number(await ask("/port?socket=level")));
    assertEquals(await ready(ask), [LEVEL], "it is the file that crossed");
    assertEquals(await ask("/read?socket=level"), "3");
  });
  await t.step("a build that does not take what is watched", async () => {
    const use = USE.replace('["level", "edge", "once"]', '["edge", "once"]');
    assertEquals((await service.commits({ ...PARTS, use })).dropped, ["level"]);
    const left = expected.filter((entry) => !entry.startsWith("19 1 "));
    assertEquals(left.length, expected.length - 1);
    assertEquals(await entries(app, "loop"), left);
    await good(left);
  });
});
