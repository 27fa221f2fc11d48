import { assertEquals, assertMatch } from "@std/assert";
import { assertNothingLost, snapshot, waitFor } from "../../testing/mod.ts";
import { BEHAVIOURS } from "../conversations/_bad_peers.ts";
import { complaints } from "../conversations/_http_exact.ts";
import { PHASES, startPhased } from "../conversations/_http_phases.ts";
import { Peer } from "../conversations/_peer.ts";

const STATUS = "GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HALF_UPGRADE = 'POST /v1/upgrade HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40\r\n\r\n{"build": "';

Deno.test("bad peers of the control socket, in every phase, do not keep an update from happening", async () => {
  await using phased = await startPhased("serve");
  const { service } = phased;
  const { app } = service;
  const before = await snapshot(app);
  {
    using held = new DisposableStack();
    const connect = async (text: string): Promise<Peer> => {
      const peer = held.use(await Peer.connect(app.socket));
      peer.send(text);
      return peer;
    };
    // Each is there before the update, or comes in its phase.
    const early = new Map<string, Peer[]>();
    for (const phase of PHASES) {
      const peers: Peer[] = [];
      for (const { before } of BEHAVIOURS) peers.push(await connect(before ?? ""));
      early.set(phase, peers);
    }
    const stalled = await connect(HALF_UPGRADE);
    const asking = await connect(STATUS);
    await asking.until("a status", ({ text }) => text.includes('"generation":1'));
    const late = held.use(await service.connect());
    late.send(phased.late);
    await service.seen();

    const update = service.commits("b");
    for (const phase of PHASES) {
      await phased.reached(phase);
      for (const [at, { act }] of BEHAVIOURS.entries()) {
        act(early.get(phase)![at]!);
        act(await connect(""));
      }
      await phased.leave(phase);
    }
    const record = await update;
    assertEquals([record.generation, record.closed], [2, 0], "no client of the application was closed");
    asking.forget();
    asking.send(STATUS);
    await asking.until("a status of the new build", ({ text, ending }) => {
      return text.includes('"generation":2') || ending !== "open";
    });
    assertMatch(
      asking.text,
      /^HTTP\/1\.1 200 OK\r\n/,
      "whoever waits between two questions keeps the connection",
    );
    // Half a request for an update is nobody's update.
    assertEquals((await app.history()).length, 2);
    assertMatch(stalled.text, /^(HTTP\/1\.1 4\d\d [^]*)?$/);
  }
  await waitFor(async () => {
    assertNothingLost(before, await snapshot(app), { updates: 1 });
    return true;
  }, { what: "the connections to be gone" });
  assertEquals(complaints(app.output().stderr), []);
});
