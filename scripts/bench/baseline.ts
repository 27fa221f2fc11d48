/**
 * What an update costs without Heirloom: a server of `node:http` that starts itself anew in place, by `execve`, and keeps
 * its listening socket. A subject of `bench_blackout.ts`, in two forms:
 *
 * - `floor`: jumps at once, without a look at what it is doing. Nothing else is in it, so no update is shorter.
 * - `naive`: does what is usually written. It stops accepting, ends its connections, and starts anew.
 *
 * Both answer with their generation, and start anew at SIGUSR2. Neither carries a connection over.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const F_DUPFD = 0;

const [form = "floor", port = "0"] = Deno.args;
const generation = Number(Deno.env.get("BENCH_GENERATION") ?? "0");
const inherited = Deno.env.get("BENCH_LISTENER");

const before = inherited === undefined ? socketFds() : [];
const server = createServer((_request, response) => response.end(`${generation}\n`));
if (inherited === undefined) server.listen(Number(port), "127.0.0.1", prepare);
else server.listen({ fd: Number(inherited) }, prepare);

/** Whatever can be made before the signal is not in the pause. */
function prepare(): void {
  const libc = Deno.dlopen("libc.so.6", {
    // int execve(const char *path, char *const argv[], char *const envp[])
    execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
    // int fcntl(int fd, int op, int arg); variadic, with the same calling convention
    fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  }).symbols;
  const listener = Number(inherited ?? socketFds().find((fd) => !before.includes(fd)));
  const path = Deno.execPath();
  const argv = strings([path, "run", "-A", "--no-config", "--no-lock", script(), form, boundPort()]);
  Deno.addSignalListener("SIGUSR2", () => {
    // The server owns its descriptor; the duplicate is inherited, as F_DUPFD leaves CLOEXEC off.
    const kept = libc.fcntl(listener, F_DUPFD, 3);
    const env = { ...Deno.env.toObject(), BENCH_GENERATION: `${generation + 1}`, BENCH_LISTENER: `${kept}` };
    const envp = strings(Object.entries(env).map(([name, value]) => `${name}=${value}`));
    const jump = (): void => {
      libc.execve(cString(path), argv.list, envp.list);
      throw new Error("Cannot start anew: execve returned");
    };
    if (form === "floor") jump();
    server.close(jump);
    server.closeAllConnections();
  });
}

function script(): string {
  return decodeURIComponent(new URL(import.meta.url).pathname);
}

function boundPort(): string {
  return String((server.address() as AddressInfo | null)?.port ?? port);
}

/** The sockets of this process, by descriptor. */
function socketFds(): number[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name)).filter((fd) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      // The descriptor with which the directory was read.
      return false;
    }
  });
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** A list of pointers as C wants it; the strings live as long as the list does. */
function strings(texts: string[]): { list: BigUint64Array<ArrayBuffer>; kept: Uint8Array[] } {
  const kept = texts.map(cString);
  const list = new BigUint64Array(kept.length + 1);
  kept.forEach((text, at) => list[at] = Deno.UnsafePointer.value(Deno.UnsafePointer.of(text)));
  return { list, kept };
}
