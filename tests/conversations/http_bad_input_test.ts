import { assert, assertEquals } from "@std/assert";
import { assertNothingLost, snapshot, waitFor } from "../../testing/mod.ts";
import { type Behaviour, BEHAVIOURS } from "./_bad_peers.ts";
import type { HttpService } from "./_http_app.ts";
import { complaints, concludes, everything, masked, reference } from "./_http_exact.ts";
import { PHASES, startPhased } from "./_http_phases.ts";
import type { Peer } from "./_peer.ts";

const GET = "GET / HTTP/1.1\r\nhost: example.org\r\n\r\n";
const UPLOAD = "POST /echo HTTP/1.1\r\nhost: example.org\r\ncontent-length: 10\r\n\r\n0123456789";

/** Phases in which a build that has answered nobody yet is there. */
const LATER = ["booting", "retrieving", "probation", "healthy"];

/** How a behaviour ends: what came, and how the connection was closed. */
async function endOf({ then }: Behaviour, peer: Peer): Promise<unknown[]> {
  if (then === "gone") return [];
  const ending = await peer.ended();
  if (then === "any") return [/^(HTTP\/1\.1 4\d\d [^]*)?$/.test(peer.text)];
  if (then === "whole") {
    return [/^(HTTP\/1\.1 200 OK\r\n[^]*?\r\n\r\nthis is the answer to GET\n)+$/.test(peer.text)];
  }
  return [masked(peer.text), ending];
}

/** How each behaviour ends where there is no update. */
async function quietEnds(service: HttpService): Promise<Map<Behaviour, unknown[]>> {
  const ends = new Map<Behaviour, unknown[]>();
  for (const behaviour of BEHAVIOURS) {
    using peer = await service.connect();
    peer.send(behaviour.before ?? "");
    await service.seen();
    behaviour.act(peer);
    ends.set(behaviour, await endOf(behaviour, peer));
  }
  return ends;
}

const CASES = [["serve", "committed"], ["serve", "rolled-back"], ["server", "committed"]] as const;

for (const [kind, outcome] of CASES) {
  Deno.test(`live.${kind}: bad peers in every phase of an update that is ${outcome} harm nobody else`, async () => {
    const last = outcome === "committed" ? "await live.ready();" : 'throw new Error("no luck");';
    await using phased = await startPhased(kind, last);
    const { service } = phased;
    const wanted = await quietEnds(service);
    const [one, two, upload] = [
      await reference(service, GET),
      await reference(service, GET + GET),
      await reference(service, UPLOAD),
    ];
    const before = await snapshot(service.app);
    const phases = outcome === "committed" ? [...PHASES, "healthy"] : PHASES;

    {
      using held = new DisposableStack();
      const connect = async (text: string): Promise<Peer> => {
        const peer = held.use(await service.connect());
        peer.send(text);
        return peer;
      };
      const bad: { name: string; phase: string; behaviour: Behaviour; peer: Peer }[] = [];
      const good: { phase: string; idle: Peer; head: Peer; fresh: Peer }[] = [];
      for (const phase of phases) {
        for (const behaviour of BEHAVIOURS) {
          if (behaviour.before === undefined || behaviour.owes && LATER.includes(phase)) continue;
          const name = `${phase}: ${behaviour.name}`;
          bad.push({ name, phase, behaviour, peer: await connect(behaviour.before) });
        }
      }
      const idle = await Promise.all(phases.map(() => connect(GET)));
      const heads = await Promise.all(phases.map(() => connect(GET.slice(0, 20))));
      const late = await connect(phased.late);
      await service.seen();

      const update = service.app.upgrade({ build: `${service.all.path}/b/main.ts`, commitAfterS: 1 });
      for (const [at, phase] of phases.entries()) {
        if (phase !== "healthy") await phased.reached(phase as typeof PHASES[number]);
        else await idle[at - 1]!.until("the taps to open", ({ text }) => text.includes("x-build: b"));
        for (const behaviour of BEHAVIOURS) {
          if (behaviour.before !== undefined) continue;
          bad.push({ name: `${phase}: ${behaviour.name}`, phase, behaviour, peer: await connect("") });
        }
        for (const each of bad) if (each.phase === phase) each.behaviour.act(each.peer);
        idle[at]!.send(GET);
        heads[at]!.send(GET.slice(20));
        good.push({ phase, idle: idle[at]!, head: heads[at]!, fresh: await connect(UPLOAD) });
        if (phase !== "healthy") await phased.leave(phase as typeof PHASES[number]);
      }
      const record = await update;
      assertEquals(record.outcome, outcome, record.reason ?? "");
      assertEquals(record.closed, 0);
      await late.ended();
      assert(late.text.endsWith("at last\n"), late.text);

      const by = outcome === "committed" ? "b" : "a";
      await everything([
        ...bad.map(async ({ name, behaviour, peer }) =>
          assertEquals(await endOf(behaviour, peer), wanted.get(behaviour), name)
        ),
        ...good.flatMap(({ phase, idle, head, fresh }) => [
          concludes(`${phase}: idle`, idle, two, `a?${by}`),
          concludes(`${phase}: head`, head, one, `?${by}`),
          concludes(`${phase}: new`, fresh, upload, `?${by}`),
        ]),
      ]);
    }
    // Nothing of anybody is left.
    await waitFor(async () => {
      const after = await snapshot(service.app);
      assertNothingLost(before, after, { updates: outcome === "committed" ? 1 : 0 });
      return true;
    }, { what: "the connections to be gone", timeoutMs: 10_000 });
    const said = complaints(service.app.output().stderr).filter((line) => !/gave up|rolled-back/.test(line));
    assertEquals(said, [], "of what peers do nothing is said");
  });
}
