/**
 * The operations that do something many times, and count what worked.
 *
 * Happy path: the counts are in the answer. Unhappy path: creating and preserving end with the first error, retrieving
 * goes on; the error is in the answer, with the counts.
 *
 * @module
 */
import { apiName, type Context, type Operation } from "./_context.ts";
import { nameField } from "./_encoding.ts";
import { codeOf } from "./_errors.ts";
import { memfdCreate } from "./_calls.ts";
import { underLimit } from "./_limit.ts";
import type { Answer, Args } from "./_scenario.ts";
import { Shared } from "./_world.ts";
import { fstat, OwnedFd, pread, pwrite, truncate } from "../../sys/mod.ts";

/** Bytes of a memfd that nobody gave a size. */
const DEFAULT_BYTES = 4096;

/** The operations, by name. */
export const LOOP_OPERATIONS: Readonly<Record<string, Operation>> = {
  create_many(context, args) {
    const { world } = context;
    const device = world.device(args.text("dev"));
    const made: Shared[] = [];
    const errno = underLimit(world, () =>
      untilError(args.number("max"), (at) => {
        made.push(new Shared({ kind: "session", session: device.createSession(nameAt(args, at)) }));
      }));
    for (const shared of made) world.bind(null, shared);
    return answer(errno, { created: made.length });
  },
  preserve_many(context, args) {
    const session = context.world.session(args.text("session"));
    let preserved = 0;
    const errno = untilError(args.number("max"), (at) => {
      using fd = numbered(context, args.number("bytes", DEFAULT_BYTES), at);
      session.preserveFd(fd.fd, BigInt(at));
      context.memory.preserved(fd.fd);
      preserved++;
    });
    return answer(errno, { preserved });
  },
  retrieve_many({ world, memory }, args) {
    const session = world.session(args.text("session"));
    const size = args.has("bytes") ? args.number("bytes") : null;
    let good = 0;
    const errno = throughErrors(args.number("count"), (at) => {
      using fd = underLimit(world, () => session.retrieveFd(BigInt(at)));
      memory.cameBack(fd.fd);
      if (isNumbered(fd.fd, size, at)) good++;
    });
    return answer(errno, { good, failed: args.number("count") - good });
  },
  retrieve_sessions_many({ world }, args) {
    const device = world.device(args.text("dev"));
    const got: Shared[] = [];
    const errno = underLimit(world, () =>
      throughErrors(args.number("count"), (at) => {
        got.push(new Shared({ kind: "session", session: device.retrieveSession(nameAt(args, at)) }));
      }));
    for (const shared of got) world.bind(null, shared);
    return answer(errno, { good: got.length, failed: args.number("count") - got.length });
  },
};

/** Names are numbered from 0, and cut like any other. */
function nameAt(args: Args, at: number): string {
  const digits = new TextEncoder().encode(String(at));
  return apiName(nameField(new Uint8Array([...args.bytes("prefix"), ...digits])), true);
}

/** A memfd that can be told from the others. */
function numbered({ world }: Context, bytes: number, at: number): OwnedFd {
  const fd = underLimit(world, () => OwnedFd.adopt(memfdCreate(new TextEncoder().encode("many"), 0)));
  truncate(fd.fd, bytes);
  pwrite(fd.fd, mark(at).subarray(0, bytes), 0);
  return fd;
}

function isNumbered(fd: number, size: number | null, at: number): boolean {
  const { size: length } = fstat(fd);
  if (size !== null && length !== size) return false;
  const wanted = mark(at).subarray(0, length);
  const found = new Uint8Array(wanted.length);
  pread(fd, found, 0);
  return found.every((byte, index) => byte === wanted[index]);
}

function mark(at: number): Uint8Array {
  return new TextEncoder().encode(`file-${at}`);
}

function untilError(count: number, each: (at: number) => void): string | null {
  for (let at = 0; at < count; at++) {
    try {
      each(at);
    } catch (error) {
      return codeOf(error);
    }
  }
  return null;
}

/** The last error is the one that is told. */
function throughErrors(count: number, each: (at: number) => void): string | null {
  let last: string | null = null;
  for (let at = 0; at < count; at++) {
    try {
      each(at);
    } catch (error) {
      last = codeOf(error);
    }
  }
  return last;
}

function answer(errno: string | null, counts: Record<string, number>): Answer {
  return errno === null ? counts : { errno, ...counts };
}
