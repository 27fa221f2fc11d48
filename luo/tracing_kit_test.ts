/**
 * What the tracing tests share: handlers and FLBs that write every callback of one life, over all its images, into one list.
 *
 * Happy path: {@linkcode Stage.cold}, some sessions, {@linkcode Stage.update}, and {@linkcode Stage.take} for what was called.
 *
 * Unhappy paths: a call whose text is in {@linkcode Stage.failing} fails, a `canFinish` in {@linkcode Stage.refusing} says no.
 *
 * @module
 */
import { decodeLuo, encodeLuo, type LuoRecord } from "../kho/abi/luo.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { createMemfd, fdLink, fstat, type OwnedFd } from "../sys/mod.ts";
import { Device } from "./device.ts";
import type { Flb, FlbIncomingArgs, FlbOutgoingArgs } from "./flb.ts";
import type { FileHandler, IncomingArgs, OutgoingArgs } from "./handler.ts";
import { TracingHandler } from "./helpers_test.ts";
import { LUO_SUBTREE, Orchestrator } from "./orchestrator.ts";
import type { Session } from "./session.ts";

/** A handler with every callback, of memfds named after it. */
class FullHandler extends TracingHandler {
  override readonly calls: string[];
  override readonly failing: Map<string, Error>;
  /** Which file needs which other one of its session, by their tokens. */
  readonly needs: Map<bigint, bigint>;

  constructor(compatible: string, stage: Pick<Stage, "calls" | "failing" | "needs">) {
    super(compatible);
    this.calls = stage.calls;
    this.failing = stage.failing;
    this.needs = stage.needs;
  }

  override canPreserve({ fd }: { fd: number }): boolean {
    this.calls.push(`canPreserve ${this.compatible}`);
    return fdLink(fd).startsWith(`/memfd:${this.compatible}-`);
  }

  getId({ fd }: { fd: number }): string {
    this.calls.push(`getId ${this.compatible}`);
    return `${fstat(fd).ino}`;
  }

  /** Makes another memfd, which LUO owns. */
  override retrieve(args: IncomingArgs): OwnedFd {
    super.retrieve(args);
    const needed = this.needs.get(args.token);
    if (needed !== undefined) {
      args.retrieveFd(needed)[Symbol.dispose]();
      this.calls.push(`got ${args.session}/${needed}`);
    }
    return createMemfd(`${this.compatible}-back`);
  }

  override finish(args: IncomingArgs): void {
    super.finish(args);
    const { retrieveStatus: status } = args;
    if (status !== 0) {
      this.calls.push(status === 1 ? "  it was retrieved" : `  its retrieve failed: ${status.message}`);
    }
  }
}

/** An FLB that writes down what it is asked. */
class TracingFlb implements Flb<string> {
  readonly compatible: string;
  readonly #stage: Pick<Stage, "calls" | "failing">;

  constructor(compatible: string, stage: Pick<Stage, "calls" | "failing">) {
    this.compatible = compatible;
    this.#stage = stage;
  }

  preserve(args: FlbOutgoingArgs<string>): void {
    this.#note("preserve");
    args.object = this.compatible;
  }

  unpreserve(): void {
    this.#note("unpreserve");
  }

  retrieve(args: FlbIncomingArgs<string>): void {
    this.#note("retrieve");
    args.object = this.compatible;
  }

  finish(): void {
    this.#note("finish");
  }

  #note(operation: string): void {
    const call = `${this.compatible}.${operation}`;
    this.#stage.calls.push(call);
    const error = this.#stage.failing.get(call);
    if (error !== undefined) throw error;
  }
}

/** Which FLBs the files of a handler depend on, in the order of their registration. */
export type Links = Readonly<Record<string, readonly string[]>>;

/** One image after the other: handler `full` has every callback, `bare` only the required ones. */
export class Stage implements Disposable {
  /** Every callback since the last look. */
  readonly calls: string[] = [];
  /** Callbacks that fail, by their texts. */
  readonly failing = new Map<string, Error>();
  /** Which file needs which other one, by their tokens. */
  readonly needs = new Map<bigint, bigint>();
  readonly #links: Links;
  #luo!: Orchestrator;
  #device!: Device;
  #full!: FullHandler;
  #flbs = new Map<string, TracingFlb>();

  private constructor(links: Links) {
    this.#links = links;
    this.#start(null);
  }

  /** A cold start. */
  static cold(links: Links = {}): Stage {
    return new Stage(links);
  }

  /** The orchestrator of the image that runs. */
  get luo(): Orchestrator {
    return this.#luo;
  }

  /** Its device. */
  get device(): Device {
    return this.#device;
  }

  /** Tokens for which `canFinish` says no. */
  get refusing(): Set<bigint> {
    return this.#full.refusing;
  }

  /** An FLB by its name. */
  flb(name: string): TracingFlb {
    const flb = this.#flbs.get(name);
    if (flb === undefined) throw new RangeError(`no FLB is called "${name}"`);
    return flb;
  }

  /** Makes a session and preserves a new memfd for each token; below zero means handler `bare` and the same token above. */
  fill(name: string, ...tokens: bigint[]): Session {
    const session = this.#device.createSession(name);
    for (const token of tokens) this.preserve(session, token);
    return session;
  }

  /** Preserves a new memfd. */
  preserve(session: Session, token: bigint): void {
    using file = token < 0n ? createMemfd("bare-x") : createMemfd("full-x");
    session.preserveFd(file, token < 0n ? -token : token);
  }

  /** Retrieves files, and closes them at once. */
  retrieve(session: Session, ...tokens: bigint[]): void {
    for (const token of tokens) session.retrieveFd(token)[Symbol.dispose]();
  }

  /** Freezes, and starts the next image with what was frozen. */
  update(): void {
    const bytes = encodeLuo(this.#luo.freeze());
    const at = this.calls.length;
    this.#luo.unfreeze();
    this.#close();
    // What the old image would not have called: its end is none of the kernel's.
    this.calls.length = at;
    this.#start(decodeLuo(bytes));
  }

  /** What was called since the last look. */
  take(): string[] {
    return this.calls.splice(0);
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #start(record: LuoRecord | null): void {
    const incoming = record === null
      ? null
      : makeIncoming({ subtrees: { [LUO_SUBTREE]: encodeLuo(record) } });
    this.#luo = new Orchestrator(incoming);
    this.#full = new FullHandler("full", this);
    const handlers: Record<string, FileHandler> = {
      full: this.#full,
      bare: bareHandler(new FullHandler("bare", this)),
    };
    this.#flbs = new Map();
    for (const [name, handler] of Object.entries(handlers)) {
      this.#luo.registry.register(handler);
      for (const flb of this.#links[name] ?? []) {
        const found = this.#flbs.get(flb) ?? new TracingFlb(flb, this);
        this.#flbs.set(flb, found);
        this.#luo.flbs.register(handler, found);
      }
    }
    this.#device = Device.open(this.#luo);
    if (incoming !== null) incoming.commit();
  }

  #close(): void {
    this.failing.clear();
    this.refusing.clear();
    for (const session of this.#luo.sessions()) {
      const open = session.state === "pending" ? this.#device.retrieveSession(session.name) : session;
      open[Symbol.dispose]();
    }
    this.#device[Symbol.dispose]();
  }
}

/** The same without what is optional. */
function bareHandler(full: FullHandler): FileHandler {
  return {
    compatible: full.compatible,
    canPreserve: (args) => full.canPreserve(args),
    preserve: (args: OutgoingArgs) => full.preserve(args),
    unpreserve: (args) => full.unpreserve(args),
    retrieve: (args) => full.retrieve(args),
    finish: (args) => full.finish(args),
  };
}
