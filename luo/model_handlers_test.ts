/**
 * The handlers and FLBs of the property tests: they do what real ones do, write every call down, fail when they shall, and
 * notice what must never happen.
 *
 * @module
 */
import { dupFd, fdLink, fstat } from "../sys/mod.ts";
import { LuoError } from "./errors.ts";
import type { Flb } from "./flb.ts";
import type { FileHandler, HandlerArgs, IncomingArgs, OutgoingArgs } from "./handler.ts";
import { type Fault, HANDLERS, LARGE_TOKEN, NEEDS } from "./model_op_test.ts";
import { digitOf, openFromPool } from "./model_pool_test.ts";

/** What callbacks write down, over all images. */
export class Trace {
  /** Every call since the last look. */
  calls: string[] = [];
  /** What must never happen, and did. */
  readonly violations: string[] = [];
  /** The callback that shall fail. */
  fault: Fault | undefined;
  /** What is preserved (`out`), or was handed over and is not finished (`in`), with its data. */
  readonly alive = new Map<string, bigint>();
  #crossed: [key: string, data: bigint][] = [];
  /** Objects of FLBs. */
  readonly objects = new Map<string, unknown>();

  /** Writes a call down. */
  note(call: string, what = ""): void {
    this.calls.push(`${call} ${what}`.trimEnd());
    if (this.fault === undefined || this.fault[0] !== call) return;
    const [, nth, code] = this.fault;
    this.fault = [call, nth - 1, code];
    if (nth === 0) {
      throw code === "EIO" ? new RangeError("on purpose") : Object.assign(new Error("on purpose"), { code });
    }
  }

  /** Writes down what must not be. */
  check(holds: boolean, what: string): void {
    if (!holds) this.violations.push(what);
  }

  /** An image starts: what was preserved has arrived; with the previous image, what had arrived once has so again. */
  boot(role: "update" | "fallback"): void {
    if (role === "update") {
      const outgoing = [...this.alive].filter(([key]) => key.startsWith("out "));
      this.#crossed = outgoing.map(([key, data]) => [key.replace("out", "in"), data]);
    }
    this.alive.clear();
    for (const [key, data] of this.#crossed) this.alive.set(key, data);
  }

  /** Something is preserved: once. */
  born(key: string, data: bigint): void {
    this.check(!this.alive.has(key), `${key} is preserved twice`);
    this.alive.set(key, data);
  }

  /** It is undone or finished: once, with the data that it has. */
  dead(key: string, data: bigint): void {
    this.check(this.alive.get(key) === data, `${key} ends with data ${data}, it has ${this.alive.get(key)}`);
    this.alive.delete(key);
  }
}

/** The handlers by their names. */
export function makeHandlers(trace: Trace): Record<string, FileHandler> {
  return Object.fromEntries(
    Object.entries(HANDLERS).map(([name, { accepts, full }]) => {
      const handler = baseHandler(trace, name, accepts);
      return [name, full ? { ...handler, ...fullCallbacks(trace) } : handler];
    }),
  );
}

/** The FLBs by their names. */
export function makeFlbs(trace: Trace): Record<string, Flb> {
  return Object.fromEntries(["x", "y", "z"].map((name) => [name, makeFlb(trace, name)]));
}

/** What every handler has; the data is the number of the descriptor, doubled. */
function baseHandler(trace: Trace, compatible: string, accepts: string): FileHandler {
  return {
    compatible,
    canPreserve({ fd }) {
      const digit = digitOf(fdLink(fd));
      return digit !== "" && accepts.includes(digit);
    },
    preserve(args) {
      trace.note("preserve", place(args));
      args.kho.preserveFd(args.fd);
      args.serializedData = BigInt(args.fd) * 2n;
      args.privateData = place(args);
      trace.born(keyOf(args), args.serializedData);
    },
    unpreserve(args) {
      trace.note("unpreserve", place(args));
      trace.check(args.privateData === place(args), `unpreserve is told ${args.privateData}`);
      trace.dead(keyOf(args), args.serializedData);
      args.kho.unpreserveFd(args.fd);
    },
    retrieve(args) {
      trace.check(
        args.fd === null && args.retrieveStatus === 0,
        "retrieve is called for a file that is there",
      );
      trace.check(trace.alive.get(keyOf(args)) === args.serializedData, "retrieve is told other data");
      // What is written outside of the callbacks that give something back does not count.
      spoil(args);
      trace.note("retrieve", place(args));
      const needed = (trace.alive.get(keyOf(args)) ?? 0n) >> 32n;
      if (needed > 0n) args.retrieveFd(needed - 1n)[Symbol.dispose]();
      const fd = args.kho.borrowFd(numberIn(trace, args));
      return compatible === "open" ? dupFd(fd) : fd;
    },
    finish(args) {
      const { retrieveStatus: status } = args;
      const known = status === 0 ? "pending" : status === 1 ? "retrieved" : (status as LuoError).code;
      trace.note("finish", `${place(args)} ${known}`);
      trace.check((args.fd !== null) === (status === 1), `finish is told fd ${args.fd} and ${known}`);
      args.kho.releaseFd(numberIn(trace, args));
      trace.dead(keyOf(args), args.serializedData);
    },
  };
}

/** What only some have. A freeze makes the data odd, and adds the token of the file that is needed. */
function fullCallbacks(trace: Trace): Partial<FileHandler> {
  return {
    freeze(args) {
      const data = (args.serializedData & 0xffffffffn) | 1n | tokenNeeded(args) << 32n;
      trace.check(args.tokenOf(args.fd) === args.token, `tokenOf() does not find ${place(args)}`);
      spoil(args);
      trace.note("freeze", place(args));
      trace.alive.set(keyOf(args), args.serializedData = data);
    },
    unfreeze(args) {
      trace.note("unfreeze", place(args));
      spoil(args);
    },
    canFinish(args) {
      spoil(args);
      try {
        trace.note("canFinish", place(args));
        return true;
      } catch {
        return false;
      }
    },
    getId: ({ fd }) => `${fstat(fd).ino}`,
  };
}

function makeFlb(trace: Trace, compatible: string): Flb {
  let serial = 0n;
  return {
    compatible,
    preserve(args) {
      trace.note(`${compatible}.preserve`);
      args.object = { compatible };
      args.data = ++serial;
      trace.objects.set(`out ${compatible}`, args.object);
      trace.born(`out ${compatible}`, args.data);
    },
    unpreserve(args) {
      trace.note(`${compatible}.unpreserve`);
      trace.check(
        trace.objects.get(`out ${compatible}`) === args.object,
        `${compatible}.unpreserve is told another object`,
      );
      trace.dead(`out ${compatible}`, args.data);
    },
    retrieve(args) {
      trace.note(`${compatible}.retrieve`);
      trace.check(args.object === null, `${compatible}.retrieve is told an object`);
      trace.check(
        trace.alive.get(`in ${compatible}`) === args.data,
        `${compatible}.retrieve is told other data`,
      );
      args.object = { compatible };
      trace.objects.set(`in ${compatible}`, args.object);
    },
    finish(args) {
      trace.note(`${compatible}.finish`);
      trace.check(
        trace.objects.get(`in ${compatible}`) === args.object,
        `${compatible}.finish is told another object`,
      );
      trace.dead(`in ${compatible}`, args.data);
    },
  };
}

function place({ session, token }: HandlerArgs): string {
  return `${session}/${token}`;
}

function keyOf(args: OutgoingArgs | IncomingArgs): string {
  return `${"retrieveStatus" in args ? "in" : "out"} ${place(args)}`;
}

function spoil(args: OutgoingArgs | IncomingArgs): void {
  args.serializedData = 999_999n;
  if ("privateData" in args) args.privateData = "spoiled";
}

function numberIn(trace: Trace, args: IncomingArgs): number {
  const data = trace.alive.get(keyOf(args)) ?? 0n;
  return Number((data & 0xffffffffn) >> 1n);
}

/** The token of the file that this one needs, plus one; 0 for none. */
function tokenNeeded(args: OutgoingArgs): bigint {
  const needed = NEEDS[digitOf(fdLink(args.fd))];
  if (needed === undefined) return 0n;
  using file = openFromPool(needed);
  try {
    const token = args.tokenOf(file.fd);
    return token < LARGE_TOKEN ? token + 1n : 0n;
  } catch (error) {
    if (error instanceof LuoError && error.code === "ENOENT") return 0n;
    throw error;
  }
}
