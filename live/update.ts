/**
 * The update, seen from the old build: phases 1 to 7, and the way back from each of them.
 *
 * Loaded after the service is ready; a restart does not wait for it.
 *
 * Happy path: the new build is resolved and its modules are looked at; the application is asked; connections stand still
 * and those that owe an answer give it; from there on nothing is awaited: preserve, freeze, write, jump.
 *
 * Unhappy paths: whatever fails before or in the jump is undone in reverse order, taps are opened again, and the update is
 * `refused` with a reason. The service has not stopped.
 *
 * @module
 */
import type { BuildInfo, UpdateRecord, UpgradeRequest } from "../control/types.ts";
import { encodeNames, HISTORY_SUBTREE, LIVE_SUBTREE } from "../kho/abi/live.ts";
import { Journal } from "../kho/journal.ts";
import { buildSegment } from "../kho/segment_build.ts";
import { LuoError } from "../luo/errors.ts";
import { orchestrator } from "../luo/process.ts";
import { reboot } from "../luo/reboot.ts";
import type { Session } from "../luo/session.ts";
import {
  addSeals,
  createMemfd,
  getLimit,
  getPid,
  isOpenFd,
  listFds,
  monotonicNs,
  SEALS,
  writeAll,
} from "../sys/mod.ts";
import type { History } from "./history.ts";
import type { Hooks } from "./hooks.ts";
import type { PendingBuild } from "./pending.ts";
import type { Port } from "./port.ts";
import { END_EVENT, foldRecord, STALLED_EVENT } from "./record.ts";
import { inspectBuild, resolveBuild, type ResolvedBuild } from "./resolve.ts";
import type { Resources } from "./resources.ts";
import type { Self } from "./self.ts";
import { settle } from "./settle.ts";
import type { States } from "./states.ts";

/** Deadline of a whole update when none is given, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** Descriptors that the runtime needs for itself while it starts. */
const RUNTIME_DESCRIPTORS = 64;

/** What an update works on. */
export interface UpdateHost {
  /** The build that runs, its fingerprint known. */
  running(): Promise<Self>;
  /** How the running build is shown. */
  info(): BuildInfo;
  /** Committed updates so far. */
  generation(): number;
  /** Jumps of this process so far. */
  readonly count: bigint;
  /** Past updates. */
  readonly history: History;
  /** Names and tokens. */
  readonly resources: Resources;
  /** Saved states. */
  readonly states: States;
  /** The application's listeners. */
  readonly hooks: Hooks;
  /** Carried servers. */
  ports(): readonly Port[];
  /** The session `heirloom`. */
  outgoing(): Session;
  /** How long quiescing may take, in milliseconds. */
  readonly quiesceTimeoutMs: number;
  /** Told when the update begins and when it was refused. */
  updating(on: boolean): void;
}

/** One update. */
interface Update {
  id: string;
  request: UpgradeRequest;
  journal: Journal;
  from: BuildInfo;
  to: BuildInfo;
  deadline: bigint;
  files: number;
  fds: number;
  segmentBytes: number;
  verdict: PromiseWithResolvers<UpdateRecord>;
}

/** Runs updates, one at a time. */
export class Updater {
  readonly #host: UpdateHost;
  readonly #watchers = new Set<(record: UpdateRecord) => void>();
  #current: Update | null = null;

  /** @param host what the updates work on */
  constructor(host: UpdateHost) {
    this.#host = host;
  }

  /**
   * Starts an update.
   *
   * @param request what is asked for
   * @returns its id, and a promise of the record that resolves only if it is refused
   * @throws {LuoError} `EBUSY` while another one runs, `EINVAL` for a deadline that is none
   */
  start(request: UpgradeRequest): { id: string; refused: Promise<UpdateRecord> } {
    if (this.#current !== null) {
      throw new LuoError("EBUSY", `Cannot update: update ${this.#current.id} is under way`);
    }
    const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    if (!(timeoutMs > 0 && timeoutMs <= 3_600_000)) {
      throw new LuoError(
        "EINVAL",
        `Cannot update: a deadline of ${timeoutMs} ms is not between 1 and 3600000`,
      );
    }
    const from = this.#host.info();
    const update: Update = {
      id: crypto.randomUUID().slice(0, 8),
      request,
      journal: Journal.create(),
      from,
      to: { path: request.build ?? from.path, version: null, id: null },
      deadline: monotonicNs() + BigInt(Math.round(timeoutMs * 1e6)),
      files: 0,
      fds: 0,
      segmentBytes: 0,
      verdict: Promise.withResolvers(),
    };
    this.#current = update;
    this.#host.updating(true);
    this.#run(update).catch((error) => this.#refuse(update, error));
    return { id: update.id, refused: update.verdict.promise };
  }

  /** The update of that id as far as it has come, or undefined when it is not the one under way. */
  find(id: string): UpdateRecord | undefined {
    return this.#current?.id === id ? this.#fold(this.#current, null) : undefined;
  }

  /** Calls back at every phase of every update; returns what ends it. */
  watch(listener: (record: UpdateRecord) => void): () => void {
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  async #run(update: Update): Promise<never> {
    this.#enter(update, "requested");
    const self = await this.#host.running();
    update.from = this.#host.info();
    const resolved = await resolveBuild(self, update.request);
    update.to = resolved.build.info;
    this.#checkHeadroom();

    this.#enter(update, "loading");
    await inspectBuild(resolved, AbortSignal.timeout(this.#left(update)));
    warnAboutEdits(self, resolved);

    this.#enter(update, "quiescing");
    const deadline = Date.now() + Math.min(this.#host.quiesceTimeoutMs, this.#left(update));
    await this.#host.hooks.quiesce(update.id, deadline - Date.now());
    const ports = this.#host.ports();
    update.journal.append(STALLED_EVENT);
    for (const port of ports) port.connections.pause();
    await settle(ports, deadline);
    return this.#jump(update, self, resolved);
  }

  /** Nothing is awaited here: from the last answer to the jump, no event of the application comes in between. */
  #jump(update: Update, self: Self, resolved: ResolvedBuild): never {
    const { resources, states, history } = this.#host;
    using undo = new DisposableStack();
    this.#enter(update, "preserving");
    const outgoing = this.#host.outgoing();
    resources.start();
    for (const port of this.#host.ports()) {
      let number = 0;
      for (const fd of port.connections.takeDescriptors()) {
        undo.use(fd);
        const name = `${port.name}#${++number}`;
        resources.add(name, "connection", fd.fd);
        undo.defer(() => resources.drop(name));
      }
    }
    const names = createMemfd("heirloom:names");
    undo.use(names);
    writeAll(names.fd, encodeNames(resources.names()));
    addSeals(names.fd, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
    outgoing.preserveFd(names.fd, 0n);
    undo.defer(() => outgoing.unpreserveFd(0n));
    update.files = outgoing.files().length;

    const from: PendingBuild = {
      info: this.#host.info(),
      fingerprint: self.image.fingerprint,
      name: self.image.names.entry ?? self.image.entry,
      execName: self.image.names.exec,
    };
    reboot(orchestrator(), {
      image: self.image,
      next: resolved.image,
      journal: update.journal,
      inherited: self.inherited.filter(isOpenFd),
      count: this.#host.count,
      build: buildSegment,
      subtrees: () => [
        [LIVE_SUBTREE, states.save()],
        [
          HISTORY_SUBTREE,
          history.encode({ id: update.id, from, to: resolved.build, deadline: update.deadline.toString() }),
        ],
      ],
      written: ({ bytes, fds }) => {
        update.segmentBytes = bytes;
        update.fds = fds;
      },
    });
  }

  #refuse(update: Update, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    for (const port of this.#host.ports()) port.connections.resume();
    update.journal.append(END_EVENT, reason);
    const record = this.#fold(update, reason);
    update.journal[Symbol.dispose]();
    this.#current = null;
    this.#host.history.add(record);
    this.#host.updating(false);
    console.error(`heirloom: update ${update.id} was refused: ${reason}`);
    this.#tell(record);
    update.verdict.resolve(record);
    this.#host.hooks.resume(update.id, reason);
  }

  #enter(update: Update, phase: string): void {
    update.journal.append(phase);
    if (this.#watchers.size > 0) this.#tell(this.#fold(update, null));
  }

  #tell(record: UpdateRecord): void {
    for (const watcher of this.#watchers) watcher(record);
  }

  #fold(update: Update, reason: string | null): UpdateRecord {
    return foldRecord({
      id: update.id,
      outcome: reason === null ? null : "refused",
      reason,
      from: update.from,
      to: update.to,
      generation: this.#host.generation(),
      pid: getPid(),
      files: update.files,
      fds: update.fds,
      segment_bytes: update.segmentBytes,
      dropped: [],
    }, update.journal.entries());
  }

  /** Milliseconds until the deadline of the whole update. */
  #left(update: Update): number {
    const left = Number((update.deadline - monotonicNs()) / 1_000_000n);
    if (left <= 0) throw new Error("Cannot update: the deadline has passed");
    return left;
  }

  /** Each connection needs two more descriptors here, and the next image one more for everything that crosses. */
  #checkHeadroom(): void {
    const connections = this.#host.ports().reduce((sum, port) => sum + port.connections.size, 0);
    const crossing = this.#host.outgoing().files().length + connections;
    const { soft } = getLimit("nofile");
    const needed = Math.max(listFds().length + 2 * connections, 2 * crossing) + RUNTIME_DESCRIPTORS;
    if (BigInt(needed) > soft) {
      throw new Error(
        `Cannot update: ${needed} descriptors are needed, the limit (RLIMIT_NOFILE) is ${soft}`,
      );
    }
  }
}

/** The way back starts the running build from its files; where those were overwritten, it would not be the same build. */
function warnAboutEdits({ image }: Self, { image: next }: ResolvedBuild): void {
  if (next.entry !== image.entry || next.fingerprint === image.fingerprint) return;
  console.error(
    `heirloom: warning: ${image.entry} was edited in place: if the new build fails, the old one cannot come back`,
  );
}
