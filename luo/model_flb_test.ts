/**
 * FLBs in the model: shared by files, counted, preserved with the first and finished with the last.
 *
 * @module
 */
import { codeOfRefusal, fail, HANDLERS, type Op } from "./model_op_test.ts";

/** The outgoing side of one FLB: files that depend on it, and references that were given out. */
interface Outgoing {
  files: number;
  references: number;
}

/** The incoming side: what is left of the count that crossed, references, and what became of it. */
interface Incoming {
  count: number;
  references: number;
  status: string;
  closed: boolean;
}

/** All FLBs of one process. */
export class Flbs {
  readonly #call: (call: string) => void;
  #links: Record<string, string[]> = {};
  #order: string[] = [];
  #handedOver = false;
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #incoming = new Map<string, Incoming>();

  /** @param call makes a callback, which may fail */
  constructor(call: (call: string) => void) {
    this.#call = call;
    this.#register();
  }

  /** An image that starts: nothing is there but what was handed over. */
  boot(counts: readonly [flb: string, count: number][]): void {
    this.#handedOver = true;
    this.#outgoing.clear();
    this.#incoming.clear();
    for (const [flb, count] of counts) {
      this.#incoming.set(flb, { count, references: 0, status: "pending", closed: false });
    }
    this.#register();
  }

  /** What crosses: in the order of registration; one that no handler has any more comes last. */
  crossing(): [flb: string, count: number][] {
    const rest = [...this.#outgoing.keys()].filter((flb) => !this.#order.includes(flb));
    return [...this.#order, ...rest].flatMap((flb) => {
      const state = this.#outgoing.get(flb);
      return state === undefined ? [] : [[flb, state.files + state.references]];
    });
  }

  /** What gives back every reference that is left. */
  rest(): Op[] {
    const incoming = [...this.#incoming].flatMap(([flb, { references }]) =>
      new Array<Op>(references).fill({ op: "putIncoming", flb })
    );
    const outgoing = [...this.#outgoing].flatMap(([flb, { references }]) =>
      new Array<Op>(references).fill({ op: "putOutgoing", flb })
    );
    return [...incoming, ...outgoing];
  }

  /** What was handed over and was never finished. */
  alive(): string[] {
    return [...this.#incoming].flatMap(([flb, { closed }]) => closed ? [] : [`in ${flb}`]).sort();
  }

  /** Carries out an operation on FLBs. */
  apply(op: Extract<Op, { flb: string }>, handlers: readonly string[]): void {
    const out = this.#outgoing.get(op.flb);
    const arrived = this.#incoming.get(op.flb);
    switch (op.op) {
      case "link":
        return this.#link(op.handler, op.flb, handlers);
      case "unlink":
        return this.#unlink(op.handler, op.flb);
      case "getOutgoing":
        return void (out ?? fail("ENOENT")).references++;
      case "putOutgoing":
        if (out === undefined || out.references === 0) fail("EINVAL");
        out.references--;
        return this.#settle(op.flb, out);
      case "getIncoming":
        if (!this.#handedOver) fail("ENODATA");
        if (arrived === undefined) fail("ENOENT");
        this.#retrieve(op.flb, arrived);
        arrived.count++;
        return void arrived.references++;
      case "putIncoming":
        if (arrived === undefined || arrived.references === 0) fail("EINVAL");
        arrived.references--;
        return this.#finish(op.flb, arrived);
    }
  }

  /** A file depends on the FLBs of its handler from now on. */
  take(handler: string): string[] {
    const taken: string[] = [];
    try {
      for (const flb of this.#links[handler] ?? []) {
        const state = this.#outgoing.get(flb);
        if (state === undefined) this.#call(`${flb}.preserve`);
        this.#outgoing.set(flb, { references: 0, ...state, files: (state?.files ?? 0) + 1 });
        taken.push(flb);
      }
      return taken;
    } catch (error) {
      this.drop(taken);
      throw error;
    }
  }

  /** The inverse of {@linkcode take}, in reverse order. */
  drop(flbs: readonly string[]): void {
    for (const flb of flbs.toReversed()) {
      const state = this.#outgoing.get(flb) as Outgoing;
      state.files--;
      this.#settle(flb, state);
    }
  }

  /** A file that was handed over is finished, and counts no more. */
  finishFile(handler: string): void {
    for (const flb of (this.#links[handler] ?? []).toReversed()) {
      const state = this.#incoming.get(flb);
      if (state !== undefined && state.count > state.references) this.#finish(flb, state);
    }
  }

  /** A handler that is gone depends on nothing. */
  detach(handler: string): void {
    for (const flb of this.#links[handler] ?? []) this.#unlink(handler, flb);
  }

  #register(): void {
    [this.#links, this.#order] = [{}, []];
    const handlers = Object.keys(HANDLERS);
    for (const handler of handlers) {
      for (const flb of HANDLERS[handler]?.flbs ?? []) this.#link(handler, flb, handlers);
    }
  }

  #link(handler: string, flb: string, handlers: readonly string[]): void {
    if (!handlers.includes(handler)) fail("EINVAL");
    const linked = this.#links[handler] ?? [];
    if (linked.includes(flb)) fail("EEXIST");
    if (!this.#order.includes(flb)) this.#order.push(flb);
    this.#links[handler] = [...linked, flb];
  }

  #unlink(handler: string, flb: string): void {
    const linked = this.#links[handler] ?? [];
    if (!linked.includes(flb)) fail("ENOENT");
    this.#links[handler] = linked.filter((each) => each !== flb);
    const used = Object.values(this.#links).some((flbs) => flbs.includes(flb));
    if (!used) this.#order = this.#order.filter((each) => each !== flb);
  }

  #settle(flb: string, { files, references }: Outgoing): void {
    if (files + references > 0) return;
    this.#outgoing.delete(flb);
    this.#call(`${flb}.unpreserve`);
  }

  #retrieve(flb: string, state: Incoming): void {
    if (state.status === "finished") fail("ENODATA");
    if (state.status === "retrieved") return;
    if (state.status !== "pending") fail(state.status);
    try {
      this.#call(`${flb}.retrieve`);
      state.status = "retrieved";
    } catch (error) {
      fail(state.status = codeOfRefusal(error));
    }
  }

  #finish(flb: string, state: Incoming): void {
    if (--state.count > 0) return;
    try {
      this.#retrieve(flb, state);
      this.#call(`${flb}.finish`);
      state.closed = true;
    } catch (error) {
      // What could not be taken back is not finished either.
      codeOfRefusal(error);
    }
    state.status = "finished";
  }
}
