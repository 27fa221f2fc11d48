/**
 * What the tests of this folder share: both sides of an update inside this process, children that run a script, and small
 * builds. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";

import { registerBuiltins } from "../handlers/mod.ts";
import { encodeLuo } from "../kho/abi/luo.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { Device } from "../luo/device.ts";
import { LuoError } from "../luo/errors.ts";
import { LUO_SUBTREE, Orchestrator } from "../luo/orchestrator.ts";
import type { Session } from "../luo/session.ts";
import { createMemfd, OwnedFd } from "../sys/mod.ts";
import type { LaunchSpec } from "./launch.ts";
import { Resources } from "./resources.ts";

/** One image: its sessions and its names. */
export interface Side {
  luo: Orchestrator;
  device: Device;
  kho: IncomingKho | null;
  incoming: Session | null;
  outgoing: Session;
  resources: Resources;
}

/** An exec would close them: a test runner with hundreds of them open is slow wherever descriptors are listed. */
const devices: Device[] = [];

Deno.test.afterEach(() => {
  for (const device of devices.splice(0)) device[Symbol.dispose]();
});

/** The image of a cold start. */
export function coldSide(): Side {
  return sideOf(new Orchestrator(null), null, []);
}

/** The image after this one: everything that was preserved arrives in it, and this one is as gone as after an exec. */
export function nextSide(side: Side): Side {
  side.resources.start();
  const record = side.luo.freeze();
  const fds = side.outgoing.files().map(({ fd }) => OwnedFd.adopt(fd ?? -1));
  const kho = makeIncoming({
    fds: fds.map((owned) => [owned, "preserved"]),
    blobs: side.luo.outgoing.blobs(),
    subtrees: { [LUO_SUBTREE]: encodeLuo(record) },
  });
  return sideOf(new Orchestrator(kho), kho, side.resources.names());
}

/** What `ready()` does to the names of an image that took over. */
export function commit(side: Side): void {
  side.incoming?.[Symbol.dispose]();
  side.resources.forgetUnclaimed();
  side.kho?.commit();
  side.resources.start();
}

function sideOf(luo: Orchestrator, kho: IncomingKho | null, names: ReturnType<Resources["names"]>): Side {
  registerBuiltins(luo.registry);
  const device = Device.open(luo);
  devices.push(device);
  const incoming = kho === null ? null : device.retrieveSession("heirloom");
  const outgoing = device.createSession("heirloom");
  return { luo, device, kho, incoming, outgoing, resources: new Resources(incoming, names, outgoing) };
}

/** A memfd with some text in it. */
export function memory(text: string): OwnedFd {
  const owned = createMemfd("heirloom:test");
  Deno.writeTextFileSync(`/proc/self/fd/${owned.fd}`, text);
  return owned;
}

/** What is in a file behind a descriptor; null where there is none. */
export function content(owned: OwnedFd | null): string | null {
  return owned === null ? null : Deno.readTextFileSync(`/proc/self/fd/${owned.fd}`);
}

/** Asserts that `body` throws a LUO error with this code, whose message contains `text`. */
export function assertLuoError(body: () => unknown, code: string, text = ""): void {
  const error = assertThrows(body, LuoError, text);
  assertEquals(error.code, code, error.message);
}

/** How a program ended. */
export interface Ended {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
}

/** Options of a child process. */
export type ChildOptions = Pick<Deno.CommandOptions, "cwd" | "env" | "clearEnv">;

/** Runs a command that must end by itself; one that hangs is ended and has code 137. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<Ended> {
  const child = new Deno.Command(program, {
    ...options,
    args: [...args],
    env: { NO_COLOR: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, signal, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The address of a module of this folder, for scripts elsewhere. */
export function moduleUrl(name: string): string {
  return new URL(name, import.meta.url).href;
}

/** A launch with something in every member. */
export function sampleSpec(changes: Partial<LaunchSpec> = {}): LaunchSpec {
  return {
    mode: "run",
    entry: "/srv/v1/main.ts",
    name: "/srv/current/main.ts",
    heirloom: "/opt/heirloom/",
    heirloomName: "/opt/heirloom/",
    config: null,
    denoArgs: [],
    execName: "/usr/bin/deno",
    socket: "/run/app/control.sock",
    hup: false,
    sigmask: "0".repeat(16),
    ...changes,
  };
}
