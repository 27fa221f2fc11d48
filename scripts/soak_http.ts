/**
 * Updates a service many times in a row under HTTP traffic of every shape, each byte of which is compared, and tells what
 * the clients have seen.
 *
 *     deno run -A scripts/soak_http.ts [--updates N] [--kind serve|server|unix] [--json]
 *
 * Happy path: a line for each update as it ends, and a table (with `--json` one document); exit 0.
 *
 * Unhappy paths: an update that did not commit, or a client that has seen anything of one: the first of these are printed,
 * exit 1. Flags that nobody knows: exit 2. SIGINT and SIGTERM: the report of what there was, and the exit status is 128 and
 * the signal's number.
 *
 * @module
 */
import { columns, duration, size, strong } from "../service/text.ts";
import type { Kind } from "../tests/conversations/_http_app.ts";
import { soak, type SoakReport } from "../tests/conversations/_soak.ts";

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;
const KINDS: Readonly<Record<string, Kind>> = {
  serve: "serve",
  server: "server",
  unix: "serve on a unix socket",
};

/** How many updates there are when nobody says so. */
const DEFAULT_UPDATES = 100;

/** How many failures are printed. */
const SHOWN = 20;

interface Options {
  readonly updates: number;
  readonly kind: Kind;
  readonly json: boolean;
}

/**
 * Runs the soak.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (typeof options === "string") {
    console.error(`soak_http: ${options}\n\nsoak_http.ts [--updates N] [--kind serve|server|unix] [--json]`);
    return 2;
  }
  let stopped = 0;
  for (const [name, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(name as keyof typeof SIGNALS, () => stopped = 128 + number);
  }
  const { kind, updates } = options;
  const report = await soak(kind, updates, (update, { outcome, stall_ms }) => {
    console.error(`update ${update} of ${updates}: ${outcome}, paused ${duration(stall_ms)}`);
  }, () => stopped > 0);
  console.log(options.json ? JSON.stringify(report) : text(report));
  return stopped > 0 ? stopped : report.failures.length > 0 ? 1 : 0;
}

function text({ kind, updates, clients, load, failures, ms }: SoakReport): string {
  const table = columns([
    ["clients", "conversations", "connections", "compared", "longest", "failed"],
    ...clients.map(({ name, done, connections, bytes, longestMs, failures }) => [
      name,
      String(done),
      String(connections),
      size(bytes),
      duration(longestMs),
      String(failures.length),
    ]),
    ...load === null ? [] : [[
      "on a schedule",
      String(load.answered),
      String(load.connects),
      "-",
      duration(load.longestWaitMs),
      String(load.failed),
    ]],
  ]);
  const committed = updates.filter(({ outcome }) => outcome === "committed").length;
  const pauses = updates.flatMap(({ stall_ms }) => stall_ms ?? []).sort((a, b) => a - b);
  const pause = (share: number): string => duration(pauses[Math.floor((pauses.length - 1) * share)] ?? null);
  return [
    table,
    "",
    `live.${kind}: ${committed} of ${updates.length} updates committed in ${duration(ms)}; ` +
    `pause ${pause(0.5)} (median), ${pause(1)} (longest)`,
    ...failures.slice(0, SHOWN),
    strong(
      failures.length === 0 ? "Nobody noticed anything." : `${failures.length} failures`,
      failures.length === 0 ? "green" : "red",
    ),
  ].join("\n");
}

function parse(args: readonly string[]): Options | string {
  let updates = DEFAULT_UPDATES;
  let kind: Kind = "serve";
  let json = false;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const equals = arg.indexOf("=");
    const [name, inline] = equals < 0 ? [arg] : [arg.slice(0, equals), arg.slice(equals + 1)];
    switch (name) {
      case "--json":
        json = true;
        break;
      case "--updates":
        updates = Number(inline ?? rest.shift());
        if (!Number.isSafeInteger(updates) || updates < 1) {
          return "Cannot understand --updates: a whole number, 1 or more, is needed";
        }
        break;
      case "--kind": {
        const wanted = KINDS[inline ?? rest.shift() ?? ""];
        if (wanted === undefined) {
          return `Cannot understand --kind: one of ${Object.keys(KINDS).join(", ")} is needed`;
        }
        kind = wanted;
        break;
      }
      default:
        return `Cannot understand "${arg}"`;
    }
  }
  return { updates, kind, json };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
