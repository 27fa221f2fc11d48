/**
 * The life of an application under live update: what it holds, how it becomes ready, how an update begins and ends.
 *
 * Happy path of a cold start: resources are added, {@linkcode Lifecycle.ready} opens the taps and preserves everything.
 * Happy path of a new build: resources are claimed, `ready` asks every handler, disarms the way back, finishes the
 * session, opens the taps, and writes the record; then everything is preserved anew.
 *
 * Unhappy paths: a handler that is not done yet makes `ready` throw `EBUSY`, and it may be called again until the
 * deadline. Everything that fails before the commit is the business of tier 1 (`kho/probation.ts`).
 *
 * @module
 */
import type {
  CheckReport,
  ServiceState,
  SessionReport,
  StatusReport,
  UpdateRecord,
  UpgradeRequest,
} from "../control/types.ts";
import { END_EVENT } from "../kho/abi/journal.ts";
import { LIVE_SUBTREE } from "../kho/abi/live.ts";
import type { Device } from "../luo/device.ts";
import { LuoError } from "../luo/errors.ts";
import type { Session } from "../luo/session.ts";
import { getPid, monotonicNs } from "../sys/mod.ts";
import { Carriers } from "./carriers.ts";
import { Commit } from "./commit.ts";
import { History } from "./history.ts";
import { readConnections } from "./handed_connections.ts";
import { LIVE_SESSION, readNames, retrieveLive } from "./handed_session.ts";
import { Hooks } from "./hooks.ts";
import { OwnBuild } from "./own_build.ts";
import type { Carrier } from "./port.ts";
import { Resources } from "./resources.ts";
import { reportSessions } from "./session_report.ts";
import { settleAtCommit, type Settling } from "./segment.ts";
import { reportLate, Starter } from "./starter.ts";
import { States } from "./states.ts";
import { takeover } from "./takeover.ts";
import type { ResolvedBuild } from "./resolve.ts";
import type { UpdateHost } from "./update_host.ts";
import type { Updater } from "./update.ts";

/** Milliseconds that clients who have waited for an update get before everything else. */
const ANSWER_FIRST_MS = 15;

/** Milliseconds after which what the next update needs is loaded. */
const SETTLE_MS = 60;

/** Everything that an open application holds. */
export class Lifecycle implements UpdateHost {
  /** The open device, or null where live update is off. */
  readonly device: Device | null;
  readonly history: History = new History(takeover.history);
  readonly hooks: Hooks = new Hooks();
  readonly resources: Resources;
  readonly states: States;
  readonly quiesceTimeoutMs: number;
  readonly socket: string | null;
  readonly build: OwnBuild;
  readonly count: bigint = takeover.incoming?.record.metadata.count ?? 0n;
  readonly #incoming: Session | null;
  readonly #outgoing: Session | null;
  readonly #carriers = new Carriers();
  readonly #segments: Settling[] = [];
  #state: ServiceState = takeover.incoming === null ? "starting" : "probation";
  /** Puts the server behind the control socket: at once on a cold start, else when the application is ready. */
  readonly control: Starter = new Starter();
  readonly #preparation = new Starter();
  #unfinished: (() => void) | undefined;
  #remembered: Promise<void> | undefined;
  #committing: Promise<void> | null = null;
  #updater: Promise<Updater> | undefined;
  /** The updater, once it is loaded. */
  loaded: Updater | undefined;

  /**
   * @param device the open device, or null where live update is off
   * @param quiesceTimeoutMs how long quiescing may take, in milliseconds
   * @param socket path of the control socket, or null
   */
  constructor(device: Device | null, quiesceTimeoutMs: number, socket: string | null = null) {
    this.device = device;
    this.quiesceTimeoutMs = quiesceTimeoutMs;
    this.socket = socket;
    this.build = new OwnBuild(socket, device !== null);
    takeover.incoming?.journal?.append("retrieving");
    takeover.fault?.("retrieving");
    this.#incoming = device === null ? null : retrieveLive(device);
    const { check } = takeover;
    this.#outgoing = check !== null ? null : device?.createSession(LIVE_SESSION) ?? null;
    const names = check?.names ?? (this.#incoming === null ? [] : readNames(this.#incoming));
    this.resources = new Resources(this.#incoming, names, this.#outgoing, readConnections());
    const saved = check?.saved ?? takeover.incoming?.subtree(LIVE_SUBTREE) ?? null;
    this.states = new States(device === null ? null : saved);
  }

  /** What the service is doing. */
  get state(): ServiceState {
    return this.#state;
  }

  /** Is the application ready, so that what is added is live at once? */
  get isReady(): boolean {
    return this.#state === "serving" || this.#state === "updating";
  }

  generation(): number {
    return Number(this.device?.number ?? 0n);
  }

  ports(): readonly Carrier[] {
    return this.#carriers.all;
  }

  outgoing(): Session {
    if (this.#outgoing === null) throw new LuoError("EOPNOTSUPP", "Cannot update: live update is off");
    return this.#outgoing;
  }

  /** Adds a server; its tap opens when the application is ready. */
  addPort(port: Carrier): void {
    this.#carriers.add(port);
  }

  /** Adds a segment, which grows to what was asked for when the application is ready, or what else waits for that. */
  addSegment(segment: Settling): void {
    if (this.isReady) segment.settle();
    this.#segments.push(segment);
  }

  /** Forgets a server that was given up. */
  removePort(port: Carrier): void {
    this.#carriers.remove(port);
  }

  /** Forgets a segment that was dropped. */
  removeSegment(segment: Settling): void {
    const at = this.#segments.indexOf(segment);
    if (at >= 0) this.#segments.splice(at, 1);
  }

  /**
   * Makes the application ready; in a new build, commits the update, or begins the healthy time before the commit.
   *
   * @returns resolves at the commit
   * @throws {LuoError} `EBUSY` when a handler is not done: nothing changed
   */
  async ready(): Promise<void> {
    if (this.isReady) return;
    if (this.#committing !== null) return await this.#committing;
    const { incoming, pending } = takeover;
    if (incoming === null || this.device === null) {
      this.#carriers.open();
      return this.#serve(null);
    }
    const { device, resources, states } = this;
    const commit = new Commit({ incoming, device, session: this.#incoming, resources, states });
    incoming.journal?.append("probation");
    takeover.fault?.("probation");
    const healthyMs = incoming.role === "update" ? pending?.commitAfterMs ?? 0 : 0;
    if (healthyMs === 0) commit.run();
    else commit.check();
    this.#carriers.open();
    incoming.journal?.append(END_EVENT);
    if (healthyMs === 0) return this.#serve(commit);
    this.#committing = new Promise((resolve) => setTimeout(resolve, healthyMs)).then(() => {
      this.#committing = null;
      commit.run();
      this.#serve(commit);
    });
    await this.#committing;
  }

  /** The application serves; in a new build the update is committed. */
  #serve(commit: Commit | null): void {
    this.#state = "serving";
    for (const segment of this.#segments) settleAtCommit(segment);
    this.resources.forgetUnclaimed();
    this.states.forgetUnclaimed();
    this.#unfinished = () => {
      this.#remembered = commit?.late(this.history, this.generation(), this);
      this.control.start();
      this.resources.start();
    };
    // After an update, clients have waited: what they do not wait for comes after their answers.
    if (commit === null) this.finishReady();
    else setTimeout(() => this.finishReady(), ANSWER_FIRST_MS);
    if (this.device === null) return;
    this.#preparation.schedule(SETTLE_MS, async () => (await import("./preview.ts")).prepareUpdates(this));
  }

  /** Does now what {@linkcode ready} has put off; whoever looks at the result calls it first. */
  finishReady(): void {
    const unfinished = this.#unfinished;
    this.#unfinished = undefined;
    try {
      unfinished?.();
    } catch (error) {
      // The service runs; what could not be preserved now is tried again by the next update, which it may refuse.
      reportLate(error);
    }
  }

  /** The updater, loaded when it is first needed. */
  updater(): Promise<Updater> {
    this.#updater ??= import("./update.ts").then(({ Updater }) => this.loaded = new Updater(this));
    return this.#updater;
  }

  /** Calls back at every phase of every update; returns what ends it. */
  watch(listener: (record: UpdateRecord) => void): () => void {
    let end: (() => void) | undefined;
    let ended = false;
    this.updater().then((updater) => ended || (end = updater.watch(listener)), reportLate);
    return () => {
      ended = true;
      end?.();
    };
  }

  /**
   * Starts an update.
   *
   * @throws {LuoError} `EOPNOTSUPP` live update is off, `EBUSY` the service is not ready or an update is under way
   */
  async upgrade(request: UpgradeRequest): Promise<{ id: string; refused: Promise<UpdateRecord> }> {
    if (this.device === null) throw new LuoError("EOPNOTSUPP", "Cannot update: live update is off");
    if (this.#state === "starting" || this.#state === "probation") {
      const state = this.#committing === null
        ? "it has not called ready()"
        : "its last update is on probation";
      throw new LuoError("EBUSY", `Cannot update: the service is ${this.#state}: ${state}`);
    }
    if (this.#state === "stopping") throw new LuoError("EBUSY", "Cannot update: the service is stopping");
    this.finishReady();
    // The next image is to know of this update too.
    await this.#remembered;
    const updater = await this.updater();
    const started = updater.start(request);
    (await import("./checks.ts")).endChecks();
    return started;
  }

  updating(on: boolean): void {
    this.#state = on ? "updating" : "serving";
  }

  /** Gives everything up. */
  close(): void {
    this.finishReady();
    this.#state = "stopping";
    this.#carriers.close();
    for (const segment of [...this.#segments]) segment.drop();
    this.#outgoing?.[Symbol.dispose]();
    this.#incoming?.[Symbol.dispose]();
    this.device?.[Symbol.dispose]();
  }

  async check(resolved: ResolvedBuild, signal: AbortSignal): Promise<CheckReport> {
    const { checkBuild } = await import("./preflight.ts");
    return await checkBuild(this, resolved, signal);
  }

  /** What `status` shows. */
  async status(): Promise<StatusReport> {
    this.finishReady();
    await this.build.running().catch(reportLate);
    return {
      pid: getPid(),
      generation: this.generation(),
      state: this.#state,
      build: this.build.info(),
      uptime_ms: Math.round(Number(monotonicNs() - this.history.started) / 1e6),
      sessions: this.sessions(),
      last_update: this.history.last(),
    };
  }

  /** What `sessions` shows. */
  sessions(): SessionReport[] {
    return this.device === null ? [] : reportSessions(this.device, this.resources);
  }

  /** The last update, once it is in the history. */
  async lastUpdate(): Promise<UpdateRecord | null> {
    this.finishReady();
    await this.#remembered;
    return this.history.last();
  }

  /** An update by its id, also the one under way. */
  update(id: string): UpdateRecord | undefined {
    return this.loaded?.find(id) ?? this.history.find(id);
  }
}
