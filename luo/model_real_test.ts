/**
 * The real thing behind the operations of the property tests: orchestrators, devices and sessions, one image after the
 * other in one process. An update writes a segment, closes every descriptor that does not cross, as `execve` does, and
 * starts a new orchestrator on what was read from it.
 *
 * @module
 */
import type { Role } from "../kho/abi/announcement.ts";
import { parseSegment, type SegmentRecord } from "../kho/abi/segment.ts";
import { encodeLuo } from "../kho/abi/luo.ts";
import { decodeCbor } from "../kho/codec.ts";
import { IncomingKho } from "../kho/incoming.ts";
import { verifyIdentity } from "../kho/identity.ts";
import { sampleImage } from "../kho/samples_test.ts";
import { buildSegment } from "../kho/segment_build.ts";
import {
  closeFd,
  fdLink,
  fstat,
  getCloexec,
  getLimit,
  listFds,
  type OwnedFd,
  readWhole,
  setLimit,
  SysError,
} from "../sys/mod.ts";
import { Device } from "./device.ts";
import { LuoError } from "./errors.ts";
import type { Flb } from "./flb.ts";
import type { FileHandler } from "./handler.ts";
import { makeFlbs, makeHandlers, Trace } from "./model_handlers_test.ts";
import { HANDLERS, type Op } from "./model_op_test.ts";
import { closedNumber, fillPool, nameInPool, openFromPool } from "./model_pool_test.ts";
import { LUO_SUBTREE, Orchestrator } from "./orchestrator.ts";
import { describeHandover } from "./reboot.ts";
import type { Session } from "./session.ts";

const NONCE = new Uint8Array(16);

/** All images of one sequence. */
export class Real implements Disposable {
  readonly #trace = new Trace();
  readonly #before: ReadonlySet<number>;
  readonly #sessions = new Map<string, Session>();
  #handlers: Record<string, FileHandler> = {};
  #flbs: Record<string, Flb> = {};
  #luo: Orchestrator;
  #device: Device | null = null;
  #incoming: IncomingKho | null = null;

  constructor() {
    fillPool();
    this.#before = new Set(listFds());
    this.#luo = this.#start(null);
  }

  /** Carries an operation out. */
  apply(op: Op): { answer: string; calls: string[] } {
    this.#trace.fault = op.fault;
    let answer: string;
    try {
      answer = this.#do(op) ?? "ok";
    } catch (error) {
      if (!(error instanceof LuoError)) throw error;
      answer = error.code;
    }
    return { answer, calls: this.#trace.calls.splice(0) };
  }

  /** Everything that can be seen from outside. */
  view(): string[] {
    const seen = this.#luo.sessions().map((session) => {
      const files = session.files().map(({ token, compatible, state, error }) =>
        ` ${token}:${compatible}:${state}${error === null ? "" : ` ${error.code}`}`
      );
      return `${session.direction === "incoming" ? "in" : "out"} ${session.name} ${session.state}${
        files.join("")
      }`;
    });
    const { sessions, flbs, number } = this.#luo.describe();
    const next = sessions.map(({ name, files }) => `${name}[${files.map(({ token }) => token)}]`);
    const shared = flbs.map(({ compatible, count }) => `${compatible}*${count}`);
    return [...seen, `next ${number}: ${[...next, ...shared].join(" ")}`];
  }

  /** How many descriptors there are more than at the start. */
  descriptors(): number {
    return listFds().length - this.#before.size;
  }

  /** Which descriptors there are more than at the start. */
  extra(): string[] {
    return this.#extra().map((fd) => `${fd} ${fdLink(fd)}`);
  }

  /** What must never happen, and did. */
  violations(): string[] {
    return this.#trace.violations;
  }

  /** What is preserved or was handed over, and never was undone or finished. */
  alive(): string[] {
    return [...this.#trace.alive.keys()].sort();
  }

  /** Closes whatever a sequence that failed left open. */
  [Symbol.dispose](): void {
    this.#extra().forEach(closeFd);
  }

  #do(op: Op): string | void {
    switch (op.op) {
      case "open":
        this.#device = Device.open(this.#luo);
        return `ok ${this.#device.number}`;
      case "shut":
        return this.#device?.[Symbol.dispose]();
      case "create":
      case "take":
        return this.#scarce(op, () => this.#issue(op.op, op.name));
      case "preserve":
        return this.#with(op.session, (session) => this.#preserve(session, op));
      case "unpreserve":
        return this.#with(op.session, (session) => session.unpreserveFd(op.token));
      case "retrieve":
        return this.#with(op.session, (session) => {
          using back = this.#scarce(op, () => session.retrieveFd(op.token));
          this.#trace.check(getCloexec(back.fd), "a retrieved descriptor is not CLOEXEC");
          return `ok ${nameInPool(back.fd)}`;
        });
      case "finish":
        return this.#with(op.session, (session) => session.finish());
      case "close":
        return this.#with(op.session, (session) => session[Symbol.dispose]());
      case "freeze":
        return void this.#luo.freeze();
      case "thaw":
        return this.#luo.frozen ? this.#luo.unfreeze() : undefined;
      case "update":
        return this.#update();
      case "back":
        return this.#back();
      case "commit":
        return this.#incoming?.commit();
      default:
        return this.#device === null ? "none" : this.#change(op);
    }
  }

  #issue(op: "create" | "take", name: string): string | void {
    if (this.#device === null) return "none";
    const [key, session] = op === "create"
      ? [`out ${name}`, this.#device.createSession(name)]
      : [`in ${name}`, this.#device.retrieveSession(name)];
    this.#sessions.set(key, session);
  }

  #with(handle: string, body: (session: Session) => string | void): string | void {
    const session = this.#sessions.get(handle);
    return session === undefined ? "none" : body(session);
  }

  #preserve(session: Session, op: Extract<Op, { fd: string }>): void {
    using file: OwnedFd | null = op.fd === "closed" ? null : openFromPool(op.fd);
    const fd = file ?? closedNumber();
    this.#scarce(op, () => session.preserveFd(fd, op.token));
  }

  /** A starved operation finds no free descriptor. */
  #scarce<T>(op: Op, body: () => T): T {
    if (op.starved !== true) return body();
    using next = openFromPool("0");
    const limit = getLimit("nofile");
    setLimit("nofile", { ...limit, soft: BigInt(next.fd) });
    next[Symbol.dispose]();
    try {
      return body();
    } finally {
      setLimit("nofile", limit);
    }
  }

  #change(op: Extract<Op, { flb: string } | { handler: string }>): void {
    const { registry, flbs } = this.#luo;
    const handler = this.#handlers["handler" in op ? op.handler : ""] as FileHandler;
    const flb = this.#flbs["flb" in op ? op.flb : ""] as Flb;
    switch (op.op) {
      case "register":
        return registry.register(handler);
      case "unregister":
        registry.unregister(handler);
        return flbs.detach(handler);
      case "link":
        return flbs.register(handler, flb);
      case "unlink":
        return flbs.unregister(handler, flb);
      case "getOutgoing":
        return this.#trace.check(
          flbs.getOutgoing(flb) === this.#trace.objects.get(`out ${op.flb}`),
          "getOutgoing() gives another object",
        );
      case "getIncoming":
        return this.#trace.check(
          flbs.getIncoming(flb) === this.#trace.objects.get(`in ${op.flb}`),
          "getIncoming() gives another object",
        );
      case "putOutgoing":
      case "putIncoming":
        return flbs[op.op](flb);
    }
  }

  /** What `reboot()` does, up to the jump, and what the boot of the next image does. */
  #update(): void {
    const luo = this.#luo.freeze();
    this.#luo.outgoing.addSubtree(LUO_SUBTREE, encodeLuo(luo));
    const record = describeHandover(this.#luo, { image: sampleImage(), count: 0n }, NONCE);
    record.fds.forEach(verifyIdentity);
    const { memory, bytes } = buildSegment(record);
    this.#jump({ record: readBack(memory), bytes, fd: memory.release() }, "update");
  }

  #back(): string | void {
    if (this.#incoming === null || this.#incoming.committed) return "none";
    const { record, bytes, announcement } = this.#incoming;
    record.fds.forEach(verifyIdentity);
    this.#jump({ record, bytes, fd: announcement.fd }, "fallback");
  }

  #jump(
    segment: { record: SegmentRecord; bytes: number; fd: number },
    role: Role & ("update" | "fallback"),
  ): void {
    const { record, bytes, fd } = segment;
    const crossing = new Set([fd, ...record.fds.map((each) => each.fd)]);
    for (const each of this.#extra()) {
      this.#trace.check(getCloexec(each), `fd ${each} is not CLOEXEC`);
      if (!crossing.has(each)) closeFd(each);
    }
    this.#trace.boot(role);
    this.#luo = this.#start(new IncomingKho({ record, bytes }, { fd, nonce: NONCE, role }));
  }

  #start(incoming: IncomingKho | null): Orchestrator {
    this.#sessions.clear();
    this.#device = null;
    this.#incoming = incoming;
    this.#handlers = makeHandlers(this.#trace);
    this.#flbs = makeFlbs(this.#trace);
    const luo = new Orchestrator(incoming);
    for (const [name, handler] of Object.entries(this.#handlers)) {
      luo.registry.register(handler);
      for (const flb of HANDLERS[name]?.flbs ?? []) luo.flbs.register(handler, this.#flbs[flb] as Flb);
    }
    return luo;
  }

  /** Only memory is ours: whatever else the runtime opened meanwhile is none of our business. */
  #extra(): number[] {
    return listFds().filter((fd) => !this.#before.has(fd) && linkOf(fd).startsWith("/memfd:"));
  }
}

function readBack(memory: OwnedFd): SegmentRecord {
  const envelope = decodeCbor(readWhole(memory.fd, fstat(memory.fd).size));
  const payload = Array.isArray(envelope) ? envelope[2] : undefined;
  if (!(payload instanceof Uint8Array)) throw new TypeError("the segment has no payload");
  return parseSegment(decodeCbor(payload));
}

function linkOf(fd: number): string {
  try {
    return fdLink(fd);
  } catch (error) {
    if (error instanceof SysError) return "";
    throw error;
  }
}
