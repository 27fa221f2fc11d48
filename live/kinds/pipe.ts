/**
 * `live.pipe`: an anonymous pipe or a FIFO that lives through updates with what is in it.
 *
 * Happy path: what was handed over under the name is taken back, both ends of a pipe or those that were not closed; or it is
 * made. What the application wants to be different is changed in a way that leaves the build before it what it had.
 *
 * Unhappy paths: a FIFO is opened without waiting, so one without its other end is an error for who only writes; so is a
 * path that is no FIFO. Whatever fails leaves no end, no descriptor and no name behind; a FIFO that was created stays.
 *
 * @module
 */
import { LuoError } from "../../luo/errors.ts";
import { isAnonymousPipe, openFile, type OwnedFd, SysError } from "../../sys/mod.ts";
import {
  checkCapacity,
  createPipe,
  type PipeAccess,
  pipeAccess,
  reopenPipe,
  setPipeCapacity,
} from "../../sys/pipe.ts";
import { statAt } from "../../handlers/file.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { OverduePolicy } from "../port.ts";
import type { Resources } from "../resources.ts";
import { claimUntil } from "../take.ts";
import { takeover } from "../takeover.ts";
import { checkFifo, openFifoAt } from "./fifo.ts";
import { PipePort } from "./pipe_port.ts";
import type { LivePipe, PipeHandlers } from "./pipe_types.ts";

/** What a pipe is, and what is done with what comes out of it. */
export interface PipeOptions extends PipeHandlers {
  /** Path of a FIFO; an anonymous pipe with both its ends if absent. Counts when nothing was handed over. */
  path?: string;
  /** Open the FIFO for reading. @default {true} unless `write` is set */
  read?: boolean;
  /**
   * Open the FIFO for writing. Together with `read` it is its own other end: it can be opened while nobody is there, and
   * who reads never sees the end. @default {false}
   */
  write?: boolean;
  /** Make the FIFO if nothing is there. @default {false} */
  create?: boolean;
  /** Permission bits of a FIFO that is made, before the umask. @default {0o600} */
  mode?: number;
  /**
   * An anonymous pipe that keeps what is written with one call apart from what is written with the next, up to 4096 bytes
   * (`O_DIRECT`, pipe(2)). Counts when nothing was handed over. @default {false}
   */
  packets?: boolean;
  /**
   * How many bytes are to fit into it, rounded up by the kernel; one that was handed over is changed when the application is
   * ready, as far as the system and what is in it allow. @default {65536, the kernel's}
   */
  capacityBytes?: number;
  /**
   * What happens to `data` whose promise, and to `writeAll` whose bytes, are not done when quiescing has taken too long:
   * `refuse` the update, or `close`: the update goes on without them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** Which descriptors an application has of its pipe; one and the same where a FIFO is read and written. */
interface Ends {
  read: OwnedFd | null;
  write: OwnedFd | null;
}

/**
 * Takes a pipe back, or makes it.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param options what it is, and what is done with what comes out of it
 * @returns the pipe; nothing is read before the application is ready
 * @throws {LuoError} `EEXIST`, `EINVAL`, `ENXIO`
 * @throws {SysError} what pipe(2), mkfifo(3), open(2) and `F_SETPIPE_SZ` answer
 * @throws {TypeError} options that contradict each other
 * @throws {RangeError} a capacity that is none
 */
export async function openPipe(
  life: Pick<Lifecycle, "addPort" | "removePort" | "resources">,
  name: string,
  options: PipeOptions,
): Promise<LivePipe> {
  const access = accessOf(name, options);
  const { resources } = life;
  using undo = new DisposableStack();
  const ends = take(resources, name, options, access, undo);
  const port: PipePort = new PipePort({
    name,
    ends,
    checking: takeover.check !== null,
    path: options.path === undefined ? null : absolute(options.path),
    handlers: options,
    overdue: options.overdue ?? "refuse",
    settle(fd) {
      if (options.capacityBytes !== undefined) settleCapacity(fd, options.capacityBytes);
    },
    carry(which, fd) {
      const [own, kind] = which === "read" ? [name, "pipe"] as const : [partOf(name), "part"] as const;
      resources.drop(own);
      if (fd !== null) resources.add(own, kind, fd);
    },
    drop() {
      resources.drop(name);
      resources.drop(partOf(name));
      // Who closes all of them is going through the list just now.
      queueMicrotask(() => life.removePort(port));
    },
  });
  undo.move();
  try {
    if (takeover.check === null) life.addPort(port);
  } catch (error) {
    await port.close();
    throw error;
  }
  return port;
}

/** The name of the end for writing of an anonymous pipe. */
function partOf(name: string): string {
  return `${name}#write`;
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

/** Which ends are wanted. */
function accessOf(name: string, options: PipeOptions): PipeAccess {
  const { path, read, write, create, packets, capacityBytes, data } = options;
  const refuse = (state: string): never => {
    throw new TypeError(`Cannot take pipe "${name}": ${state}`);
  };
  if (capacityBytes !== undefined) checkCapacity(capacityBytes);
  if (path === undefined) {
    if ([read, write, create].some((option) => option !== undefined)) {
      refuse("without a path it always has both ends");
    }
    return { read: true, write: true };
  }
  if (packets) refuse("a FIFO has no packets");
  const access = { read: read ?? !write, write: write ?? false };
  if (!access.read && !access.write) refuse("it is to be neither read nor written");
  if (data !== undefined && !access.read) refuse("it has data and is not to be read");
  return access;
}

function take(
  resources: Resources,
  name: string,
  options: PipeOptions,
  access: PipeAccess,
  undo: DisposableStack,
): Ends {
  const { check } = takeover;
  const { path } = options;
  if (check !== null) {
    // Not even opened: who waits for the other end of a FIFO would find it for a moment.
    using _ = check.take(resources, name, "pipe", (handed) => {
      if (path !== undefined && !handed && (statAt(path) !== null || !options.create)) checkFifo(path);
      return openFile("/dev/null");
    });
    if (path === undefined) check.take(resources, partOf(name), "part")[Symbol.dispose]();
    return { read: null, write: null };
  }
  return takeBack(resources, name, path, access, undo) ?? make(resources, name, options, access, undo);
}

/** What was handed over: an end, or both, or a FIFO. */
function takeBack(
  resources: Resources,
  name: string,
  path: string | undefined,
  access: PipeAccess,
  undo: DisposableStack,
): Ends | null {
  const first = claimUntil(undo, resources, name, "pipe");
  const part = claimUntil(undo, resources, partOf(name), "part");
  if (first === null && part === null) return null;
  const anonymous = isAnonymousPipe((first ?? part)?.fd ?? -1);
  if (anonymous !== (path === undefined)) {
    const [was, is] = anonymous ? ["a pipe without a path", "a FIFO"] : ["a FIFO", "a pipe without a path"];
    throw new LuoError("EEXIST", `Cannot take "${name}" as ${is}: it was handed over as ${was}`);
  }
  if (first === null || anonymous) return { read: first, write: part };
  const has = pipeAccess(first.fd);
  if (has.read === access.read && has.write === access.write) return endsOf(first, access);
  // Another description of the same FIFO: a build that comes back finds its own as it was.
  const fifo = undo.use(reopenPipe(first.fd, access));
  resources.drop(name);
  first[Symbol.dispose]();
  resources.add(name, "pipe", fifo.fd);
  undo.defer(() => resources.drop(name));
  return endsOf(fifo, access);
}

function make(
  resources: Resources,
  name: string,
  options: PipeOptions,
  access: PipeAccess,
  undo: DisposableStack,
): Ends {
  const { path, capacityBytes } = options;
  const add = (own: string, kind: "pipe" | "part", fd: number): void => {
    resources.add(own, kind, fd);
    undo.defer(() => resources.drop(own));
  };
  if (path !== undefined) {
    const fifo = undo.use(openFifoAt(path, access, options.create ? options.mode ?? 0o600 : null));
    if (capacityBytes !== undefined) setPipeCapacity(fifo.fd, capacityBytes);
    add(name, "pipe", fifo.fd);
    return endsOf(fifo, access);
  }
  const { read, write } = createPipe({ packets: options.packets ?? false });
  undo.use(read);
  undo.use(write);
  if (capacityBytes !== undefined) setPipeCapacity(read.fd, capacityBytes);
  add(name, "pipe", read.fd);
  add(partOf(name), "part", write.fd);
  return { read, write };
}

function endsOf(fifo: OwnedFd, { read, write }: PipeAccess): Ends {
  return { read: read ? fifo : null, write: write ? fifo : null };
}

/** A capacity that cannot be had now is no reason for a build to fail that has a pipe already. */
function settleCapacity(fd: number, bytes: number): void {
  try {
    setPipeCapacity(fd, bytes);
  } catch (error) {
    if (!(error instanceof SysError) || !["EBUSY", "EPERM", "ENOMEM"].includes(error.code)) throw error;
  }
}
