/**
 * The update, seen from the old build: phases 1 to 5, and the way back from each of them. What follows, the freeze and the
 * jump, is in `crossing.ts`.
 *
 * Loaded after the service is ready; a restart does not wait for it.
 *
 * Happy path: the new build is resolved and checked in a child; the way back is found; a guardian watches; the application
 * is asked; connections stand still and those that owe an answer give it; the rest is synchronous.
 *
 * Unhappy paths: whatever fails before or in the jump is undone in reverse order, taps are opened again, and the update is
 * `refused` with a reason: a step that fails, the deadline, a signal that asks the service to stop. The service has not
 * stopped. Steps that are still under way then find the update ended and do nothing more.
 *
 * @module
 */
import type { UpdateRecord, UpgradeRequest } from "../control/types.ts";
import { lastWordsPath, removeLastWords, writeLastWords } from "../control/last_words.ts";
import { LuoError } from "../luo/errors.ts";
import { orchestrator } from "../luo/process.ts";
import { isIntact } from "../kho/identity.ts";
import { blockForExec, getLimit, getPid, listFds, setMask } from "../sys/mod.ts";
import { END_EVENT, STALLED_EVENT, UNGUARDED_EVENT } from "../kho/abi/journal.ts";
import { runtimePath } from "../kho/jump.ts";
import { cross } from "./crossing.ts";
import { guardianOf } from "./launch.ts";
import { encodeGraphs } from "./graphs.ts";
import { Guarding } from "./guarding.ts";
import { brokenToken } from "./handed_session.ts";
import { supervisorWarnings } from "./main_pid.ts";
import { foldRecord } from "./record.ts";
import { resolveBuild } from "./resolve.ts";
import { reportLate } from "./starter.ts";
import { resolveRollback } from "./rollback.ts";
import { checkRefusals, partPolitely, settle } from "./settle.ts";
import { checkRequest } from "./update_request.ts";
import { watchForStop } from "./stop_watch.ts";
import { takeover } from "./takeover.ts";
import { Update } from "./update_state.ts";
import type { UpdateHost } from "./update_host.ts";
import { ROOT } from "./version.ts";
import { warmUp } from "./warm_up.ts";
import { noWayBack } from "./way_back.ts";
import type { ImageRecord } from "../kho/abi/image.ts";
import type { PendingBuild } from "./pending.ts";

/** Descriptors that the runtime needs for itself while it starts. */
const RUNTIME_DESCRIPTORS = 64;

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
   * @throws {LuoError} `EBUSY` while another one runs, `EINVAL` for times that are none, or a rollback to a named build
   */
  start(request: UpgradeRequest): { id: string; refused: Promise<UpdateRecord> } {
    if (this.#current !== null) {
      throw new LuoError("EBUSY", `Cannot update: update ${this.#current.id} is under way`);
    }
    const timeoutMs = checkRequest(request);
    const update = new Update(request, this.#host.build.info(), timeoutMs);
    this.#current = update;
    this.#host.updating(true);
    const timer = setTimeout(() => this.#refuse(update, late(update)), timeoutMs);
    update.undo.defer(() => clearTimeout(timer));
    update.unwatch = watchForStop((signal) => this.#stop(update, signal));
    if (this.#host.socket !== null) this.#leaveWords(this.#host.socket, update, "refused", CUT_SHORT);
    this.#run(update).catch((error) => this.#refuse(update, error));
    return { id: update.id, refused: update.verdict.promise };
  }

  /** The update of that id as far as it has come, or undefined when it is not the one under way. */
  find(id: string): UpdateRecord | undefined {
    return this.#current?.id === id ? this.#fold(this.#current, null) : undefined;
  }

  /** The update under way, or null. */
  get current(): Update | null {
    return this.#current;
  }

  /** Calls back at every phase of every update; returns what ends it. */
  watch(listener: (record: UpdateRecord) => void): () => void {
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  async #run(update: Update): Promise<void> {
    const host = this.#host;
    this.#enter(update, "requested");
    const self = await host.build.running();
    update.from = host.build.info();
    const way = await host.build.wayBack();
    const resolved = update.request.rollback
      ? await resolveRollback(self, host.build.previous, way)
      : await resolveBuild(self, update.request);
    update.to = resolved.build.info;
    this.#checkHeadroom();
    checkRefusals(host.ports());

    this.#enter(update, "loading");
    const report = await host.check(resolved, update.signal);
    if (!report.ok) throw new Error(report.reason ?? `Cannot use build ${resolved.build.name}`);
    if (report.startup_ms !== null && report.startup_ms > update.leftMs()) {
      throw new Error(
        `Cannot update: the new build took ${report.startup_ms} ms to start in the check, ` +
          `and ${update.leftMs()} ms are left until the deadline`,
      );
    }
    const back = await way.image();
    if (back.moved) await this.#checkBack(update, back.image, way.runtime, resolved.build);

    this.#enter(update, "guarding");
    if (update.request.guardian !== false) {
      update.guarding = await Guarding.start({
        image: back.image,
        runtime: runtimePath(back.image.exec, way.runtime, getPid()),
        program: back.locate(guardianOf(ROOT)),
        timeoutMs: update.leftMs(),
      });
      if (update.ended) return await update.dismiss();
      update.warnings.push(...supervisorWarnings());
    }

    const graphs = encodeGraphs(way.graphs, back, resolved);
    warmUp(host.ports());

    this.#enter(update, "quiescing");
    const deadline = Date.now() + Math.min(host.quiesceTimeoutMs, update.leftMs());
    await host.hooks.quiesce(update.id, deadline - Date.now());
    const ports = host.ports();
    this.#check(update);
    update.journal.append(STALLED_EVENT);
    await partPolitely(ports, deadline, () => update.closed++);
    this.#check(update);
    for (const port of ports) port.pause();
    update.closed += await settle(ports, deadline);
    this.#check(update);
    await this.#holdSignals(update);
    this.#check(update);
    if (host.socket !== null) this.#leaveWords(host.socket, update, "lost", CUT_SHORT);
    this.#enter(update, "preserving");
    cross(host, update, { self, resolved, back: back.image, way, graphs });
  }

  /** A way back that leads elsewhere is tried as well. */
  async #checkBack(
    update: Update,
    image: ImageRecord,
    runtime: number | null,
    build: PendingBuild,
  ): Promise<void> {
    const name = image.entry;
    const exec = runtimePath(image.exec, runtime, getPid());
    const report = await this.#host.check(
      { image: { ...image, exec }, build: { ...build, name, info: { ...build.info } }, boot: null },
      update.signal,
    );
    if (!report.ok) throw noWayBack(`its snapshot does not start: ${report.reason}`);
  }

  /**
   * From here on a signal waits for the next image: a listener of this one would have no turn to hear it. One that came
   * before has its turn now.
   */
  async #holdSignals(update: Update): Promise<void> {
    const mask = blockForExec();
    update.undo.defer(() => setMask(mask));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  #stop(update: Update, signal: string): void {
    update.stopping = true;
    if (update.ended) return;
    const reason = `Cannot update: the service is asked to stop (${signal})`;
    if (this.#host.socket !== null) this.#leaveWords(this.#host.socket, update, "refused", reason);
    this.#refuse(update, new Error(reason));
  }

  #refuse(update: Update, error: unknown): void {
    if (update.ended) return;
    const reason = error instanceof Error ? error.message : String(error);
    for (const port of this.#host.ports()) port.connections.resume();
    // The last phase that begins here: freezing and jumping are parts of the same call.
    if (update.phase === "preserving") this.#mend(error);
    update.journal.append(END_EVENT, reason);
    const record = this.#fold(update, reason);
    // Until it is told, a signal may end the service.
    if (this.#host.socket !== null) writeLastWords(this.#host.socket, record);
    update.end();
    console.error(`heirloom: update ${update.id} was refused: ${reason}`);
    this.#host.hooks.resume(update.id, reason);
    // What was started for the update is gone before anyone hears that it ended.
    Promise.all([update.dismiss().catch(reportLate), update.unwatch()]).then(() => {
      // Of a service that stops, nobody may be left to tell how this ended.
      if (this.#host.socket !== null && !update.stopping) removeLastWords(this.#host.socket);
      this.#current = null;
      this.#host.history.add(record);
      this.#host.updating(false);
      this.#tell(record);
      update.verdict.resolve(record);
    });
  }

  /** The jump may have found that a descriptor is not what it was: the next one is to find it whole. */
  #mend(error: unknown): void {
    const records = new Map(orchestrator().outgoing.fds().map((record) => [record.fd, record]));
    try {
      this.#host.resources.mend((fd) => {
        const record = records.get(fd);
        return record === undefined || isIntact(record);
      }, brokenToken(error));
    } catch (error) {
      reportLate(error);
    }
  }

  /** Said in advance: whoever is killed has no time for it. */
  #leaveWords(socket: string, update: Update, outcome: "refused" | "lost", reason: string): void {
    const record = this.#fold(update, reason);
    writeLastWords(socket, { ...record, outcome });
    update.lastWords = {
      path: lastWordsPath(socket),
      text: JSON.stringify({ ...record, outcome: null, reason: null }),
    };
  }

  #enter(update: Update, phase: string): void {
    this.#check(update);
    update.enter(phase);
    takeover.fault?.(phase);
    if (this.#watchers.size > 0) this.#tell(this.#fold(update, null));
  }

  /** A step that took longer than the update finds it ended. */
  #check(update: Update): void {
    if (update.ended) throw late(update);
  }

  #tell(record: UpdateRecord): void {
    for (const watcher of this.#watchers) watcher(record);
  }

  #fold(update: Update, reason: string | null): UpdateRecord {
    const entries = update.journal.entries();
    const died = update.guarding !== null &&
      (!update.guarding.alive || entries.some(({ phase }) => phase === UNGUARDED_EVENT));
    return foldRecord({
      id: update.id,
      outcome: reason === null ? null : "refused",
      reason,
      from: update.from,
      to: update.to,
      generation: this.#host.generation(),
      pid: getPid(),
      guardian: update.guarding === null ? "off" : died ? "died" : "watched",
      files: update.files,
      fds: update.fds,
      segment_bytes: update.segmentBytes,
      closed: update.closed,
      dropped: [],
      warnings: update.warnings,
    }, entries);
  }

  /** Each connection needs one more descriptor here, and the next image one more for everything that crosses. */
  #checkHeadroom(): void {
    const connections = this.#host.ports().reduce((sum, { size }) => sum + size, 0);
    const crossing = this.#host.outgoing().files().length + connections;
    const { soft } = getLimit("nofile");
    const needed = Math.max(listFds().length + connections, 2 * crossing) + RUNTIME_DESCRIPTORS;
    if (BigInt(needed) > soft) {
      throw new Error(
        `Cannot update: ${needed} descriptors are needed, the limit (RLIMIT_NOFILE) is ${soft}`,
      );
    }
  }
}

const CUT_SHORT = "the service ended in the middle of the update";

function late(update: Update): Error {
  return new Error(`Cannot update: the deadline has passed in phase ${update.phase}`);
}
