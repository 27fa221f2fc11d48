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
  BuildInfo,
  ServiceState,
  SessionReport,
  StatusReport,
  UpdateRecord,
  UpgradeRequest,
} from "../control/types.ts";
import { LIVE_SUBTREE } from "../kho/abi/live.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import type { Device } from "../luo/device.ts";
import { LuoError } from "../luo/errors.ts";
import type { Session } from "../luo/session.ts";
import { getPid, monotonicNs } from "../sys/mod.ts";
import { buildInfoOf } from "./build_info.ts";
import { History } from "./history.ts";
import { endConnections, LIVE_SESSION, readNames, retrieveLive } from "./handed_session.ts";
import { Hooks } from "./hooks.ts";
import type { Port } from "./port.ts";
import { END_EVENT } from "./record.ts";
import { Resources } from "./resources.ts";
import { reportSessions } from "./session_report.ts";
import type { SharedSegment } from "./segment.ts";
import type { Self } from "./self.ts";
import { reportLate, Starter } from "./starter.ts";
import { States } from "./states.ts";
import { commitHandover, takeover } from "./takeover.ts";
import type { UpdateHost, Updater } from "./update.ts";
import { rememberUpdate } from "./verdict.ts";

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
  readonly count: bigint = takeover.incoming?.record.metadata.count ?? 0n;
  readonly #incoming: Session | null;
  readonly #outgoing: Session | null;
  readonly #ports: Port[] = [];
  readonly #segments: SharedSegment[] = [];
  #state: ServiceState = takeover.incoming === null ? "starting" : "probation";
  /** Puts the server behind the control socket: at once on a cold start, else when the application is ready. */
  readonly control: Starter = new Starter();
  readonly #preparation = new Starter();
  #unfinished: (() => void) | undefined;
  #updater: Promise<Updater> | undefined;
  #loaded: Updater | undefined;

  /**
   * @param device the open device, or null where live update is off
   * @param quiesceTimeoutMs how long quiescing may take, in milliseconds
   */
  constructor(device: Device | null, quiesceTimeoutMs: number) {
    this.device = device;
    this.quiesceTimeoutMs = quiesceTimeoutMs;
    takeover.incoming?.journal?.append("retrieving");
    this.#incoming = device === null ? null : retrieveLive(device);
    this.#outgoing = device?.createSession(LIVE_SESSION) ?? null;
    const names = this.#incoming === null ? [] : readNames(this.#incoming);
    this.resources = new Resources(this.#incoming, names, this.#outgoing);
    this.states = new States(device === null ? null : takeover.incoming?.subtree(LIVE_SUBTREE) ?? null);
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

  ports(): readonly Port[] {
    return this.#ports;
  }

  outgoing(): Session {
    if (this.#outgoing === null) throw new LuoError("EOPNOTSUPP", "Cannot update: live update is off");
    return this.#outgoing;
  }

  /** Adds a server; its tap opens when the application is ready. */
  addPort(port: Port): void {
    this.#ports.push(port);
    if (this.isReady) port.open();
  }

  /** Adds a segment; it grows to what was asked for when the application is ready. */
  addSegment(segment: SharedSegment): void {
    this.#segments.push(segment);
    if (this.isReady) segment.settle();
  }

  /** Forgets a segment that was dropped. */
  removeSegment(segment: SharedSegment): void {
    const at = this.#segments.indexOf(segment);
    if (at >= 0) this.#segments.splice(at, 1);
  }

  /**
   * Makes the application ready; in a new build, commits the update.
   *
   * @throws {LuoError} `EBUSY` when a handler is not done: nothing changed
   */
  ready(): void {
    if (this.isReady) return;
    const { incoming } = takeover;
    const committed = incoming === null || this.device === null ? null : this.#commit(incoming);
    if (committed === null) this.#openTaps();
    this.#state = "serving";
    for (const segment of this.#segments) segment.settle();
    this.resources.forgetUnclaimed();
    this.states.forgetUnclaimed();
    this.#unfinished = () => {
      committed?.();
      this.control.start();
      this.resources.start();
    };
    // After an update, clients have waited: what they do not wait for comes after their answers.
    if (committed === null) this.finishReady();
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
    this.#updater ??= import("./update.ts").then(({ Updater }) => this.#loaded = new Updater(this));
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
      throw new LuoError("EBUSY", `Cannot update: the service is ${this.#state}: it has not called ready()`);
    }
    if (this.#state === "stopping") throw new LuoError("EBUSY", "Cannot update: the service is stopping");
    this.finishReady();
    const updater = await this.updater();
    return updater.start(request);
  }

  updating(on: boolean): void {
    this.#state = on ? "updating" : "serving";
  }

  /** Gives everything up. */
  close(): void {
    this.finishReady();
    this.#state = "stopping";
    for (const port of this.#ports) port.close();
    for (const segment of [...this.#segments]) segment.drop();
    this.#outgoing?.[Symbol.dispose]();
    this.#incoming?.[Symbol.dispose]();
    this.device?.[Symbol.dispose]();
  }

  async running(): Promise<Self> {
    const { self } = takeover;
    if (self.image.fingerprint === null) {
      const { loadGraph } = await import("../kho/load.ts");
      self.image.fingerprint = (await loadGraph(self.image)).fingerprint;
    }
    return self;
  }

  info(): BuildInfo {
    return buildInfoOf(takeover.self.image, takeover.self.spec);
  }

  /** What `status` shows. */
  async status(): Promise<StatusReport> {
    this.finishReady();
    await this.running().catch(reportLate);
    return {
      pid: getPid(),
      generation: this.generation(),
      state: this.#state,
      build: this.info(),
      uptime_ms: Math.round(Number(monotonicNs() - this.history.started) / 1e6),
      sessions: this.sessions(),
      last_update: this.history.last(),
    };
  }

  /** What `sessions` shows. */
  sessions(): SessionReport[] {
    return this.device === null ? [] : reportSessions(this.device, this.resources);
  }

  /** An update by its id, also the one under way. */
  update(id: string): UpdateRecord | undefined {
    return this.#loaded?.find(id) ?? this.history.find(id);
  }

  #openTaps(): void {
    for (const port of this.#ports) port.open();
  }

  /**
   * Commits the update and opens the taps.
   *
   * @returns what is left to do once clients have been answered
   */
  #commit(incoming: IncomingKho): () => void {
    incoming.journal?.append("probation");
    const session = this.#incoming;
    const blocker = session?.blocker() ?? null;
    if (blocker !== null) {
      throw new LuoError(
        "EBUSY",
        `Cannot commit: handler "${blocker.compatible}" is not done with token ${blocker.token}`,
      );
    }
    const unclaimed = this.resources.unclaimed();
    const dropped = [
      ...unclaimed.filter(({ kind }) => kind !== "connection").map(({ name }) => name),
      ...this.states.unclaimed(),
    ];
    const files = this.device?.sessions().filter(({ direction }) => direction === "incoming")
      .reduce((sum, incoming) => sum + incoming.files().length, 0) ?? 0;
    incoming.journal?.append("committed");
    takeover.probation?.disarm();
    if (session !== null) {
      endConnections(session, unclaimed);
      session[Symbol.dispose]();
    }
    this.#openTaps();
    incoming.journal?.append(END_EVENT);
    return () => {
      rememberUpdate(this.history, incoming, { files, dropped, generation: this.generation() });
      commitHandover();
    };
  }
}
