/**
 * An open-loop load generator: it asks on a schedule, whether or not the answers come, and accounts for every request.
 *
 * - **Keep-alive clients** hold one TCP connection each and ask every `keepAlivePeriodMs`. A client whose answer is late
 *   does not ask less: what came due meanwhile is sent as soon as the connection is free, and its wait is counted from when
 *   it was due. There is no pipelining, so a client has one request outstanding at most.
 * - **New connections** come `newPerSecond` times a second, with one request each, whatever the others do.
 *
 * A refused connection, a reset, a close by the server (also between two requests), another status, a body that the check
 * does not like, bytes that are not HTTP, an answer that does not come within the time-out: each is a failure with its
 * reason, time and details. Nothing is ever thrown from within; all is in the report.
 *
 * 1. {@linkcode startLoad} begins at once, in the caller's process.
 * 2. {@linkcode Load.mark} names moments to look at afterwards.
 * 3. {@linkcode Load.stop} ends the schedule, waits for what is outstanding, and reports.
 *
 * The generator shares its event loop with the caller. A caller that computes for long makes the load late;
 * `generatorLagMs` in the report tells by how much.
 *
 * @module
 */

import { ClientConnection, ConnectionFault } from "./connection.ts";
import type { HttpAnswer } from "./http_response.ts";
import { type LoadOptions, type LoadPlan, makePlan } from "./load_plan.ts";
import { type LoadKind, LoadLog, type LoadReport } from "./load_report.ts";

/** A load that runs. Disposing it stops it. */
export interface Load extends AsyncDisposable {
  /** The requests answered so far. */
  readonly answered: number;
  /** The failures so far. */
  readonly failed: number;
  /**
   * Names this moment, for `report.around(label, …)`.
   *
   * @param label The name.
   * @returns The moment, in milliseconds since the start of the load.
   */
  mark(label: string): number;
  /**
   * Ends the schedule, waits for the requests that are outstanding or due, at most `stopTimeoutMs`, and closes all
   * connections. Calling it again gives the same report.
   *
   * @returns What was seen.
   */
  stop(): Promise<LoadReport>;
}

/**
 * Starts a load.
 *
 * @param options Whom to ask, how often, and what to expect.
 * @returns The running load; the caller stops it.
 * @throws {TypeError} If the target is not an `http:` URL or an address, or the path is not a path.
 * @throws {RangeError} If a number is not one that can be kept to.
 */
export function startLoad(options: LoadOptions): Load {
  return new Generator(options);
}

class Generator implements Load {
  readonly #plan: LoadPlan;
  readonly #log = new LoadLog();
  readonly #origin = performance.now();
  readonly #open = new Set<ClientConnection>();
  readonly #sleepers = new Map<ReturnType<typeof setTimeout>, () => void>();
  readonly #running: Promise<unknown>;
  readonly #outstanding = new Set<Promise<void>>();
  /** When the schedule ended, null while it runs. */
  #stoppedAt: number | null = null;
  /** Aborted when what is outstanding is given up. */
  readonly #abandoned = new AbortController();
  #report: Promise<LoadReport> | null = null;

  constructor(options: LoadOptions) {
    this.#plan = makePlan(options);
    const clients = Array.from({ length: this.#plan.keepAlive }, (_, index) => this.#client(index));
    this.#running = Promise.all([...clients, this.#arrivals()]);
  }

  get answered(): number {
    return this.#log.answered;
  }

  get failed(): number {
    return this.#log.failed;
  }

  mark(label: string): number {
    const atMs = this.#now();
    this.#log.marks.push({ label, atMs });
    return atMs;
  }

  stop(): Promise<LoadReport> {
    this.#report ??= this.#end();
    return this.#report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #now(): number {
    return performance.now() - this.#origin;
  }

  async #end(): Promise<LoadReport> {
    const stoppedAt = this.#now();
    this.#stoppedAt = stoppedAt;
    for (const [timer, wake] of this.#sleepers) {
      clearTimeout(timer);
      wake();
    }
    const giveUp = setTimeout(() => {
      this.#abandoned.abort();
      for (const connection of this.#open) connection[Symbol.dispose]();
    }, this.#plan.stopTimeoutMs);
    try {
      await this.#running;
      await Promise.all(this.#outstanding);
    } finally {
      clearTimeout(giveUp);
    }
    for (const connection of this.#open) connection[Symbol.dispose]();
    return this.#log.report(stoppedAt);
  }

  /**
   * Waits until a request is due.
   *
   * @returns False if the schedule ended before.
   */
  async #due(due: number): Promise<boolean> {
    for (;;) {
      if (this.#stoppedAt !== null) return due <= this.#stoppedAt;
      const left = due - this.#now();
      if (left <= 0) return true;
      await this.#sleep(left);
      // Only a timer that fired late is the generator's fault; a request that queued behind another is not.
      this.#log.lagMs = Math.max(this.#log.lagMs, this.#stoppedAt === null ? this.#now() - due : 0);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(timer);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#sleepers.set(timer, wake);
    });
  }

  /** A keep-alive client, from the first request to the last. */
  async #client(index: number): Promise<void> {
    const period = this.#plan.keepAlivePeriodMs;
    const offset = (index * period) / this.#plan.keepAlive;
    const request = this.#plan.keepAliveRequest;
    let connection: ClientConnection | null = null;
    for (let count = 0; await this.#due(offset + count * period); count++) {
      const due = offset + count * period;
      if (this.#abandoned.signal.aborted) {
        const detail = "Its connection was busy until the load was over";
        this.#log.failure("keep-alive", due, this.#now(), "unsent", detail);
        continue;
      }
      connection = await this.#ask("keep-alive", due, request, connection);
    }
    if (connection !== null) this.#close(connection);
  }

  /** The new connections, as they come due. */
  async #arrivals(): Promise<void> {
    if (this.#plan.newPerSecond === 0) return;
    const period = 1000 / this.#plan.newPerSecond;
    for (let count = 0; await this.#due(count * period); count++) {
      const due = count * period;
      if (this.#outstanding.size >= this.#plan.maxOutstanding) {
        const detail = `${this.#outstanding.size} new connections were outstanding`;
        this.#log.failure("new", due, this.#now(), "saturated", detail);
        continue;
      }
      const visit = this.#visit(due);
      this.#outstanding.add(visit);
      void visit.then(() => this.#outstanding.delete(visit));
    }
  }

  async #visit(due: number): Promise<void> {
    const connection = await this.#ask("new", due, this.#plan.newRequest, null);
    if (connection !== null) this.#close(connection);
  }

  /**
   * One request and its answer, noted.
   *
   * @returns The connection if it can be used again.
   */
  async #ask(
    kind: LoadKind,
    due: number,
    request: Uint8Array,
    reuse: ClientConnection | null,
  ): Promise<ClientConnection | null> {
    let connection = reuse?.fault === null ? reuse : null;
    const begun = performance.now();
    try {
      connection ??= await this.#connect(kind);
      const left = Math.max(1, this.#plan.timeoutMs - (performance.now() - begun));
      const answer = await connection.exchange(request, left);
      const end = this.#now();
      const wrong = this.#plan.judge(answer);
      if (wrong === null) this.#log.answer(kind, due, end);
      else this.#log.failure(kind, due, end, wrong.reason, wrong.detail);
      if (kind === "keep-alive" && refusesReuse(answer)) {
        this.#close(connection);
        this.#endedBetween(new ConnectionFault("closed", "Closed by the server with `connection: close`"));
        return null;
      }
      return connection;
    } catch (error) {
      const fault = error instanceof ConnectionFault ? error : new ConnectionFault("connect", String(error));
      if (connection !== null) this.#open.delete(connection);
      if (this.#abandoned.signal.aborted) {
        this.#log.failure(kind, due, this.#now(), "timeout", "Unanswered when the load was over");
        return null;
      }
      if (connection === null && fault.reason === "refused") this.#log.refused++;
      if (connection !== null && kind === "keep-alive" && isClose(fault)) this.#log.keepAliveClosed++;
      this.#log.failure(kind, due, this.#now(), fault.reason, fault.message);
      return null;
    }
  }

  async #connect(kind: LoadKind): Promise<ClientConnection> {
    const { target, timeoutMs } = this.#plan;
    const connection = await ClientConnection.open(target, { timeoutMs, signal: this.#abandoned.signal });
    this.#log.connects++;
    this.#open.add(connection);
    connection.onEnd = (fault) => {
      this.#open.delete(connection);
      // With its only answer in, a new connection has done its work; who closes it first does not matter.
      if (kind === "keep-alive") this.#endedBetween(fault);
    };
    return connection;
  }

  #endedBetween(fault: ConnectionFault): void {
    if (isClose(fault)) this.#log.keepAliveClosed++;
    const detail = `${fault.message}, between two requests`;
    this.#log.failure("keep-alive", null, this.#now(), fault.reason, detail);
  }

  #close(connection: ClientConnection): void {
    this.#open.delete(connection);
    connection[Symbol.dispose]();
  }
}

/** True if it was the other side that ended the connection. */
function isClose(fault: ConnectionFault): boolean {
  return fault.reason === "closed" || fault.reason === "reset";
}

/** True if the server says that it closes the connection after the answer. */
function refusesReuse(answer: HttpAnswer): boolean {
  return /(^|,)\s*close\s*(,|$)/i.test(answer.headers.get("connection") ?? "");
}
