/**
 * Builds of the application of the HTTP tests, and what every test of HTTP does with them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { freePort, startApp, type StartOptions, type TestApp, type UpdateRecord } from "../../testing/mod.ts";
import { type Builds, builds, LIBRARY, SAYS_QUIESCING, untilQuiescing } from "../update/_fixtures.ts";
import { Peer } from "./_peer.ts";

/** The ways in which an application serves HTTP: the last one on a unix socket. */
export const KINDS = ["serve", "server", "serve on a unix socket"] as const;

/** One of them. */
export type Kind = typeof KINDS[number];

/** What is different in a build. */
export interface HttpBuild {
  /** How it serves. */
  readonly kind: Kind;
  /** What it calls itself. */
  readonly build: string;
  /** The argument of `open()`. */
  readonly open?: string;
  /** The options of `live.serve` and `live.server`. */
  readonly carry?: string;
  /** Statements before `open()`. */
  readonly before?: string;
  /** Statements behind `open()`. */
  readonly use?: string;
  /** Instead of `await live.ready()`. */
  readonly ready?: string;
  /** The text of a build, instead of all this. */
  readonly text?: (build: string) => string;
}

/** The text of a build. It says on stdout when an update is about to let the connections stand still. */
export function httpApp(parts: HttpBuild): string {
  if (parts.text !== undefined) return parts.text(parts.build);
  const { kind, build, open = "{ quiesceTimeoutMs: 20_000 }", carry = "{}", before = "", use = "" } = parts;
  const routes = new URL("_http_routes.ts", import.meta.url).href;
  const address = kind === "serve on a unix socket"
    ? "{ path: Deno.args[0]! }"
    : '{ hostname: "127.0.0.1", port: Number(Deno.args[0]) }';
  const serve = kind !== "server"
    ? `await live.serve("web", ${address}, webHandler("${build}"), ${carry});`
    : `await live.server("web", createServer(nodeListener("${build}")), ${address}, ${carry});`;
  return `import { createServer } from "node:http";
import { gate, nodeListener, reach, webHandler } from "${routes}";
import { open } from "${LIBRARY}";
${before}
const live = await open(${open});
${SAYS_QUIESCING}
${use}
${serve}
${parts.ready ?? "await live.ready();"}
void [createServer, gate, nodeListener, reach, webHandler];
`;
}

/** A running application with two builds, `a`, which runs first, and `b`. */
export interface HttpService extends AsyncDisposable {
  /** The service. */
  readonly app: TestApp;
  /** Where it listens: a port, or a path. */
  readonly target: number | string;
  /** Where more builds can be written. */
  readonly all: Builds;
  /** Connects. */
  connect(): Promise<Peer>;
  /** Waits until all that was sent before has been read: the answers to two others prove it. */
  seen(): Promise<void>;
  /** Updates to a build by its name. */
  upgrade(build: string): Promise<UpdateRecord>;
  /** Updates to a build that must commit. */
  commits(build: string): Promise<UpdateRecord>;
  /** Writes one more build, under a name of its own. */
  write(build: string, parts: Partial<HttpBuild>): Promise<void>;
  /** Waits until so many updates have let the connections stand still. */
  still(updates: number): Promise<void>;
}

/** Starts the application, with more arguments behind the place where it listens. */
export async function startHttp(
  parts: Omit<HttpBuild, "build">,
  options: Partial<StartOptions> & { more?: readonly string[] } = {},
): Promise<HttpService> {
  const { more = [], ...start } = options;
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const entries = new Map<string, string>();
  for (const build of ["a", "b"]) entries.set(build, await all.write(build, httpApp({ ...parts, build })));
  const target = parts.kind === "serve on a unix socket" ? `${all.path}/web.sock` : freePort();
  const app = undo.use(
    await startApp({ entry: entries.get("a")!, args: [String(target), ...more], ...start }),
  );
  const kept = undo.move();
  const upgrade = (build: string): Promise<UpdateRecord> => app.upgrade({ build: entries.get(build)! });
  return {
    app,
    target,
    all,
    connect: () => Peer.connect(target),
    async seen() {
      for (let time = 0; time < 2; time++) {
        using other = await Peer.connect(target);
        other.send("GET / HTTP/1.0\r\n\r\n");
        await other.ended();
      }
    },
    upgrade,
    async commits(build) {
      const record = await upgrade(build);
      assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
      return record;
    },
    async write(build, more) {
      entries.set(build, await all.write(build, httpApp({ ...parts, build, ...more })));
    },
    still: (updates) => untilQuiescing(app, updates),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
