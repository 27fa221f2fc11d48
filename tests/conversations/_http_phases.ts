/**
 * An update that a test leads from phase to phase: it stands still in each until the test lets it go on.
 *
 * @module
 */
import { waitFor } from "../../testing/mod.ts";
import type { HttpBuild, HttpService, Kind } from "./_http_app.ts";
import { startHttp } from "./_http_app.ts";

/** Where the update can be held, in order. In `standing` the connections stand still, and one owes an answer. */
export const PHASES = ["loading", "quiescing", "standing", "booting", "retrieving", "probation"] as const;

/** One of them. */
export type HeldPhase = typeof PHASES[number];

/** A service whose update from build `a` to build `b` is led by a test. */
export interface PhasedService extends AsyncDisposable {
  /** The service. */
  readonly service: HttpService;
  /** What has to be asked for, on a connection of its own, before the update: the answer to it is late. */
  readonly late: string;
  /** Waits until the update has come to a phase. */
  reached(phase: HeldPhase): Promise<void>;
  /** Lets it leave the phase. */
  leave(phase: HeldPhase): Promise<void>;
}

/**
 * Starts such a service.
 *
 * @param kind how it serves
 * @param last what build `b` does instead of `await live.ready()`, when it is let go
 * @param more what is different in build `a`
 */
export async function startPhased(
  kind: Kind,
  last = "await live.ready();",
  more: Partial<HttpBuild> = {},
): Promise<PhasedService> {
  await using undo = new AsyncDisposableStack();
  const service = undo.use(await startHttp({ kind }));
  const path = (phase: HeldPhase): string => `${service.all.path}/${phase}`;
  const reach = (phase: HeldPhase): string => `await reach("${path(phase)}");`;
  const mark = `Deno.writeTextFileSync("${path("standing")}.reached", "")`;
  const first: Partial<HttpBuild> = {
    use: `live.on("quiesce", (event) => event.waitUntil(reach("${path("quiescing")}").then(() => ${mark})));`,
  };
  await service.write("a", { ...first, ...more });
  await service.write("b", {
    before: `if (Deno.env.has("HEIRLOOM_PREFLIGHT")) ${reach("loading")}\nelse ${reach("booting")}`,
    use: `if (!live.checking) ${reach("retrieving")}`,
    ready: `if (live.checking) await live.ready();\n${reach("probation")}\n${last}`,
  });
  // The first build that runs has no such listener: the one with it takes over, under the same name.
  await service.commits("a");
  const kept = undo.move();
  return {
    service,
    late: `GET /gated?file=${path("standing")} HTTP/1.0\r\n\r\n`,
    async reached(phase) {
      await waitFor(() => Deno.statSync(`${path(phase)}.reached`), { what: phase, timeoutMs: 30_000 });
    },
    async leave(phase) {
      await Deno.writeTextFile(path(phase), "");
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
