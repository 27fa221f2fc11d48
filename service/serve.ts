/**
 * `serve`: the built-in service: named shared memory over HTTP, which survives updates of Heirloom itself.
 *
 * Happy path: the launcher becomes the boot module, which imports `main.ts` again; this time the service itself runs. An
 * update goes to another Heirloom tree.
 *
 * Unhappy paths: an address that is in use, a token file that cannot be read: exit 1 with the reason.
 *
 * @module
 */
import { open } from "../live/open.ts";
import type { ServerHandle } from "../live/port.ts";
import { nearestConfig } from "../live/launch.ts";
import { ROOT } from "../live/version.ts";
import type { ServeCommand } from "./args.ts";
import { AccessLog } from "./access_log.ts";
import { LiveStore } from "./live_store.ts";
import { absolute, findRuntime, launch } from "./run.ts";
import { createSegmentHandler } from "./segments/mod.ts";

/** Becomes the boot module of this Heirloom tree, with the same command line. */
export async function launchServe(command: ServeCommand, args: readonly string[]): Promise<never> {
  return await launch({
    mode: "serve",
    entry: `${ROOT}main.ts`,
    name: ROOT.replace(/\/$/, ""),
    heirloom: ROOT,
    heirloomName: ROOT,
    config: nearestConfig(`${ROOT}main.ts`),
    denoArgs: [],
    execName: findRuntime(),
    socket: absolute(command.socket),
    hup: command.hup,
    sigmask: "0",
  }, args);
}

/** Runs the service; it goes on when this returns. */
export async function serve(command: ServeCommand): Promise<void> {
  const live = await open();
  const token = command.httpTokenFile === undefined ? null : await readToken(command.httpTokenFile);
  const store = await LiveStore.open(live);
  const log = command.accessLog === undefined
    ? null
    : await AccessLog.open(live, absolute(command.accessLog));
  const handler = createSegmentHandler(store, {
    token,
    quotas: command.quotas,
    hosts: () => hostsOf(server, command),
    status: () => live.status(),
  });
  const server = await live.serve(
    ":http",
    command.http,
    log === null ? handler : (request) => log.around(request, handler),
  );
  await live.ready();
  if (live.generation === 0) console.log(`heirloom: serving ${urlOf(server)} (pid ${Deno.pid})`);
}

async function readToken(path: string): Promise<string> {
  const token = (await Deno.readTextFile(path)).trim();
  if (token === "") throw new Error(`Cannot read the token: ${path} is empty`);
  const { mode } = await Deno.stat(path);
  if (((mode ?? 0) & 0o004) !== 0) {
    console.error(`heirloom: warning: every user can read the token in ${path}`);
  }
  return token;
}

/** What clients may call the service in their Host header. */
function hostsOf(server: ServerHandle, command: ServeCommand): string[] {
  const { address } = server;
  if ("path" in address) return ["localhost"];
  const names = new Set(["localhost", "127.0.0.1", "[::1]", bracketed(address.hostname ?? "127.0.0.1")]);
  if ("hostname" in command.http) names.add(bracketed(command.http.hostname));
  return [...names].map((name) => `${name}:${address.port}`);
}

function urlOf({ address }: ServerHandle): string {
  if ("path" in address) return `unix:${address.path}`;
  return `http://${bracketed(address.hostname ?? "127.0.0.1")}:${address.port}/`;
}

function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
