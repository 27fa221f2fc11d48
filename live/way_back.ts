/**
 * The way back to the build that runs: its files as they were when it was started, and its runtime.
 *
 * Happy path: soon after the start, {@linkcode WayBack.prepare} opens the runtime, finds out which files the build consists
 * of, and takes a snapshot of them in the state directory. At an update {@linkcode WayBack.image} looks whether those
 * files are what they were: then the way back leads to them, else to the snapshot.
 *
 * Unhappy paths: files that changed while the build was starting, a snapshot that could not be taken (no state directory,
 * no space): an update is refused from the moment on in which a file has changed, and goes on as ever until then. A
 * runtime that was replaced does no harm: it is executed by its open descriptor.
 *
 * @module
 */
import type { ImageRecord } from "../kho/abi/image.ts";
import { runtimePath } from "../kho/jump.ts";
import { hashGraph, loadGraph, type ModuleGraph } from "../kho/load.ts";
import { type Snapshot, Snapshots } from "../kho/snapshot.ts";
import { getPid, openFile, type OwnedFd, processAgeMs, startTime } from "../sys/mod.ts";
import { type BuildFiles, filesOf } from "./build_files.ts";
import { bootOf, guardianOf } from "./launch.ts";
import { located, relocate } from "./relocate.ts";
import type { Self } from "./self.ts";
import { abandonedFolders, processKey, stateFolder } from "./state_folder.ts";
import { ROOT } from "./version.ts";

/** Milliseconds around the start of the process within which the age of a file says nothing. */
const START_MS = 100;

/** Milliseconds by which the clock of a filesystem may be behind. */
const CLOCK_MS = 10;

/** Where the way back leads. */
export interface Back {
  /** What it starts. */
  image: ImageRecord;
  /** Does it lead to the snapshot? */
  moved: boolean;
  /** Where a file of the build is found. */
  locate(path: string): string;
}

/** The way back to the build that runs. */
export class WayBack {
  readonly #self: Self;
  readonly #snapshots: Snapshots | null;
  readonly #cold: boolean;
  readonly #known: readonly (readonly string[])[] | null;
  #prepared: Promise<void> | undefined;
  #files: BuildFiles | undefined;
  #runtime: OwnedFd | undefined;
  #snapshot: Snapshot | null = null;
  #key: string | null = null;
  /** What changed before a snapshot could be taken. */
  #early: string[] = [];
  /** Why there is no snapshot. */
  #missing = "it was not taken";

  /**
   * @param self the build that runs
   * @param socket path of the control socket, which tells this service from others; null: its process does
   * @param cold was it started, or did it take over? Then its fingerprint was known before
   * @param known the modules of the build, of its Heirloom and of its guardian, or null: then the runtime is asked
   */
  constructor(
    self: Self,
    socket: string | null,
    cold: boolean,
    known: readonly (readonly string[])[] | null = null,
  ) {
    this.#self = self;
    this.#known = known;
    this.#cold = cold;
    const folder = stateFolder(socket ?? processKey(getPid(), startTime()));
    this.#snapshots = folder === null ? null : new Snapshots(`${folder}/builds`);
  }

  /** The runtime of this process, held open; null before {@linkcode prepare}. */
  get runtime(): number | null {
    return this.#runtime?.fd ?? null;
  }

  /** The modules of the build, of its Heirloom and of its guardian; empty before {@linkcode prepare}. */
  get graphs(): readonly string[][] {
    return this.#files?.graphs ?? [];
  }

  /** The key of the snapshot of the build that runs, or null where there is none. */
  get key(): string | null {
    return this.#snapshot === null ? null : this.#key;
  }

  /**
   * Finds out what the build consists of and takes the snapshot; once.
   *
   * @throws {Error} when the runtime cannot tell which modules there are
   */
  prepare(): Promise<void> {
    this.#prepared ??= this.#prepare().catch((error) => {
      this.#prepared = undefined;
      throw error;
    });
    return this.#prepared;
  }

  /**
   * The image that the way back starts.
   *
   * @returns the build that runs, from where it was deployed or from its snapshot
   * @throws {Error} when files changed and there is no snapshot of what they were
   */
  async image(): Promise<Back> {
    await this.prepare();
    const files = this.#files;
    const { image } = this.#self;
    if (files === undefined) throw noWayBack("it is not known which files it consists of");
    const changed = this.#early.length > 0 ? await this.#stillChanged() : await this.#changed(files);
    if (changed.length === 0) return { image, moved: false, locate: (path) => path };
    const names = changed.length > 1 ? `${changed[0]} and ${changed.length - 1} more` : `${changed[0]}`;
    const snapshot = this.#snapshot;
    if (snapshot === null) throw noWayBack(`${names}; no snapshot: ${this.#missing}`);
    if (!snapshot.has(image.entry)) throw noWayBack(`${names}; the snapshot is gone`);
    // What the application has created beside its modules since then is linked as well.
    if (this.#key !== null) await this.#snapshots?.take(this.#key, files);
    const locate = (path: string): string => located(snapshot, path);
    return { image: relocate(this.#self, snapshot), moved: true, locate };
  }

  /**
   * The snapshot of another build of this service.
   *
   * @param key its key, or null
   * @param entry its entry module, where it was deployed
   * @returns the snapshot, or null where there is none
   */
  find(key: string | null, entry: string): Snapshot | null {
    return key === null ? null : this.#snapshots?.find(key, entry) ?? null;
  }

  /** Removes the snapshots of other builds than this one and the one that runs. */
  async prune(keep: string | null): Promise<void> {
    await this.#snapshots?.prune([keep, this.#key].filter((key) => key !== null));
  }

  async #prepare(): Promise<void> {
    const { image } = this.#self;
    this.#runtime ??= openFile("/proc/self/exe", { path: true });
    const begun = Date.now() - CLOCK_MS;
    const { files, fingerprint } = await this.#survey(this.#known);
    this.#files = files;
    const known = image.fingerprint;
    image.fingerprint ??= fingerprint;
    const different = known !== null && known !== fingerprint;
    // What changes between the look and the stamps would look like what was looked at.
    const meanwhile = (files.stamps.newest()?.getTime() ?? 0) > begun;
    if (different || meanwhile || (this.#cold && changedSinceStart(files))) {
      this.#early = [image.entry];
      this.#missing = "its files changed while it was starting";
    } else await this.#take(files);
    await removeAbandoned(image.entry);
  }

  async #take(files: BuildFiles): Promise<void> {
    if (this.#snapshots === null) {
      this.#missing = "there is no state directory (STATE_DIRECTORY, XDG_STATE_HOME, HOME)";
      return;
    }
    try {
      // What is copied must be what was looked at: a file may be overwritten at any moment.
      this.#snapshot = await this.#snapshots.take(files.key, files);
      this.#key = files.key;
    } catch (error) {
      this.#missing = error instanceof Error ? error.message : String(error);
      console.error(
        `heirloom: warning: there is no snapshot of this build: ${this.#missing}; ` +
          "once its files are changed on disk, updates are refused",
      );
    }
  }

  /** Everything that has to be there for the build to start, and for a guardian of it. */
  async #survey(
    known: readonly (readonly string[])[] | null = null,
  ): Promise<{ files: BuildFiles; fingerprint: string }> {
    const { image, spec } = this.#self;
    const entries = [image.entry];
    if (spec !== null) entries.push(bootOf(spec.heirloom));
    if (import.meta.url.startsWith("file:")) entries.push(guardianOf(ROOT));
    const graphs: ModuleGraph[] = [];
    for (const [at, entry] of entries.entries()) {
      const modules = known?.length === entries.length ? known[at] : undefined;
      graphs.push(
        modules === undefined ? await this.#look(entry) : await hashGraph({ ...image, entry }, modules),
      );
    }
    return { files: await filesOf(this.#self, graphs), fingerprint: graphs[0]?.fingerprint ?? "" };
  }

  /** Looks with the runtime of this process, whatever its path leads to by now. */
  #look(entry: string): Promise<ModuleGraph> {
    const { image } = this.#self;
    return loadGraph({ ...image, entry, exec: runtimePath(image.exec, this.runtime, getPid()) });
  }

  /** What changed while the build took over may have been put right since: its fingerprint was known before. */
  async #stillChanged(): Promise<string[]> {
    if (this.#cold) return this.#early;
    try {
      const { fingerprint } = await this.#survey();
      return fingerprint === this.#self.image.fingerprint ? [] : this.#early;
    } catch {
      return this.#early;
    }
  }

  /** What was only touched has not changed. */
  async #changed({ stamps, key }: BuildFiles): Promise<string[]> {
    const changed = await stamps.changed();
    if (changed.length === 0) return changed;
    try {
      const { files } = await this.#survey();
      return files.key === key ? [] : changed;
    } catch {
      return changed;
    }
  }
}

/** A build that was recovered may run from the folder of the process that died. */
async function removeAbandoned(entry: string): Promise<void> {
  for (const folder of abandonedFolders(isAlive)) {
    if (!entry.startsWith(`${folder}/`)) await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

function isAlive(pid: number, start: bigint): boolean {
  try {
    return startTime(pid) === start;
  } catch {
    return false;
  }
}

/** The refusal where there is no way back. */
export function noWayBack(detail: string): Error {
  return new Error(`Cannot update: the running build changed on disk: no way back (${detail})`);
}

/** A cold start has no fingerprint from before to be held against. */
function changedSinceStart({ stamps }: BuildFiles): boolean {
  const newest = stamps.newest();
  const started = Date.now() - processAgeMs();
  return newest !== null && newest.getTime() > started + START_MS;
}
