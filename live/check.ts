/**
 * Check mode, seen from the build that is checked: it is the child of a service, it has the bytes of a segment and none
 * of its descriptors, and it says whether it would take over.
 *
 * Happy path: {@linkcode Check.begin} reads the segment from standard input; the application opens live update and takes
 * its resources, each of which is a harmless stand-in; `ready()` prints the report, and the process ends with 0.
 *
 * Unhappy paths: a segment that cannot be read is a report of its own; a record or a state that this build does not read
 * is in the report, and the application goes on, so that one check finds everything. What the application throws ends the
 * process as it ends any program, and the service sees that.
 *
 * @module
 */
import type { StateReport, TokenReport } from "../control/types.ts";
import { CONNECTIONS_SUBTREE, decodeConnections } from "../kho/abi/connections.ts";
import { decodeNames, LIVE_SUBTREE, type NameRecord, NAMES_SUBTREE } from "../kho/abi/live.ts";
import { blobOf, subtreeOf } from "../kho/abi/segment.ts";
import { formatReport, parseMark } from "../kho/abi/preflight.ts";
import { decodeEnvelope } from "../kho/segment.ts";
import { HandoverError } from "../kho/errors.ts";
import { DryRun, standIn } from "../luo/dry_run.ts";
import { receiveHandover } from "../luo/process.ts";
import type { HandedOver, Orchestrator } from "../luo/orchestrator.ts";
import { type OwnedFd, write } from "../sys/mod.ts";
import { endWithParent } from "../sys/parent.ts";
import { getParentPid } from "../sys/process.ts";
import { GIVEN_UP } from "./given_up_children.ts";
import { LIVE_SESSION } from "./handed_session.ts";
import type { ResourceKind } from "./resource_name.ts";
import type { Resources } from "./resources.ts";
import type { StateOptions, States } from "./states.ts";

/** Milliseconds between the report and the end: what goes wrong right behind `ready()` is seen as well. */
const LAST_TURN_MS = 5;

const STDOUT = 1;

/** What the child reports; the service makes it a whole report. */
export interface ChildReport {
  /** Would the build take over? */
  ok: boolean;
  /** Why not, or null. */
  reason: string | null;
  /** What would become of each file. */
  tokens: TokenReport[];
  /** What would become of each state. */
  states: StateReport[];
}

/** The check of the build that runs here. */
export class Check {
  readonly #nonce: string;
  readonly #dry: DryRun;
  readonly #luo: Orchestrator;
  readonly #states: StateReport[] = [];
  readonly #channels = new Set<string>();
  #reported = false;
  /** The names that were handed over. */
  readonly names: NameRecord[];
  /** The saved states that were handed over, or null. */
  readonly saved: Uint8Array | null;
  /** What crosses with connections, or null. */
  readonly connections: Uint8Array | null;

  private constructor(nonce: string, dry: DryRun, luo: Orchestrator, handed: HandedOver) {
    this.#nonce = nonce;
    this.#dry = dry;
    this.#luo = luo;
    const names = handed.subtree(NAMES_SUBTREE);
    this.names = names === null ? [] : decodeNames(names);
    this.saved = handed.subtree(LIVE_SUBTREE);
    this.connections = handed.subtree(CONNECTIONS_SUBTREE);
  }

  /**
   * Begins the check, if this process is the child of one.
   *
   * @param mark the value of `HEIRLOOM_PREFLIGHT`
   * @returns the check, or null when the mark is meant for another process
   */
  static async begin(mark: string): Promise<Check | null> {
    const { parent, nonce } = parseMark(mark) ?? {};
    if (parent === undefined || nonce === undefined || parent !== getParentPid()) return null;
    endWithParent();
    try {
      const handed = await readHandover();
      // The dry run needs the handlers of an orchestrator that needs the dry run.
      const luo: Orchestrator = receiveHandover(handed, (record, session) => dry.reader(record, session));
      const dry = new DryRun(luo.registry, handed);
      return new Check(nonce, dry, luo, handed);
    } catch (error) {
      if (!(error instanceof HandoverError)) throw error;
      print(nonce, { ok: false, reason: error.message, tokens: [], states: [] });
      Deno.exit(0);
    }
  }

  /**
   * Takes a resource, or would create it: gives a stand-in in both cases.
   *
   * @param make makes the stand-in, told whether one was handed over, and given what its handler made to stand for it (which
   * is closed afterwards); an open `/dev/null` if absent
   * @throws {LuoError} what taking it for real would throw: `EEXIST`, `EINVAL`
   */
  take(
    resources: Resources,
    name: string,
    kind: ResourceKind,
    make: (handed: boolean, model: OwnedFd | null) => OwnedFd = standIn,
  ): OwnedFd {
    using undo = new DisposableStack();
    const handed = resources.claim(name, kind);
    if (handed === null) resources.reserve(name, kind);
    // What was not taken may be asked for in another way, as for real.
    undo.defer(() => handed === null ? resources.drop(name) : resources.unclaim(name));
    using _ = handed;
    const made = make(handed !== null, handed);
    undo.move();
    return made;
  }

  /**
   * Declares a state and loads a copy of what was handed over.
   *
   * @throws {LuoError} what declaring it for real would throw, except for what is in the report
   */
  state(states: States, name: string, options: StateOptions): void {
    const found = states.versionOf(name);
    try {
      states.add(name, options);
      if (found === null) return;
      const same = found === options.version;
      this.#states.push({
        name,
        version: found,
        verdict: same ? "ok" : "needs migration",
        reason: same ? null : `from version ${found} to ${options.version}`,
      });
    } catch (error) {
      if (found === null || states.versionOf(name) === null) throw error;
      states.keep(name);
      const reason = error instanceof Error ? error.message : String(error);
      this.#states.push({ name, version: found, verdict: "unsupported", reason });
    }
  }

  /** This build goes on with the connections of that channel. */
  channel(name: string): void {
    this.#channels.add(name);
  }

  /**
   * Loads a copy of the state of a connection.
   *
   * @param name the connection
   * @param found the version of its state
   * @param written the version that this build writes
   * @param load loads it
   */
  connection(name: string, found: number, written: number, load: () => unknown): void {
    const same = found === written;
    let verdict: StateReport["verdict"] = same ? "ok" : "needs migration";
    let reason = same ? null : `from version ${found} to ${written}`;
    try {
      load();
    } catch (error) {
      verdict = "unsupported";
      reason = error instanceof Error ? error.message : String(error);
    }
    // One line for each channel would do if all were well; what is not well has its own.
    if (verdict !== "ok") this.#states.push({ name, version: found, verdict, reason });
  }

  /** The application carries on a state that it does not declare. */
  kept(name: string, version: number | null): void {
    this.#states.push({ name, version, verdict: "ok", reason: null });
  }

  /** The application is ready: prints the report and ends the process after one more turn. Never resolves. */
  report(resources: Resources | null, states: States | null): Promise<never> {
    if (!this.#reported) {
      this.#reported = true;
      const tokens = this.#tokens(resources);
      const unclaimed = (states?.unclaimed() ?? []).map((name): StateReport => ({
        name,
        version: states?.versionOf(name) ?? null,
        verdict: "unclaimed",
        reason: "this build does not declare it: it is dropped at the commit",
      }));
      const all = [...this.#states, ...unclaimed, ...this.#unclaimedChannels()];
      const bad = tokens.find(isUnsupported) ?? all.find(isUnsupported);
      const reason = bad === undefined ? this.#dry.flbProblem(this.#luo.flbs) : reasonOf(bad);
      print(this.#nonce, {
        ok: reason === null,
        reason,
        tokens,
        states: all,
      });
      setTimeout(() => Deno.exit(0), LAST_TURN_MS);
    }
    return new Promise(() => {});
  }

  /** The application gives up. */
  fail(reason: string): never {
    print(this.#nonce, { ok: false, reason, tokens: this.#tokens(null), states: this.#states });
    Deno.exit(0);
  }

  #tokens(resources: Resources | null): TokenReport[] {
    return this.#dry.findings.map(({ session, token, compatible, verdict, reason, taken }) => {
      const name = session === LIVE_SESSION ? resources?.nameOf(token) ?? this.#nameOf(token) : null;
      const lost = verdict !== "unsupported" && !taken && !name?.startsWith(GIVEN_UP);
      return {
        session,
        token: token.toString(),
        name,
        compatible,
        verdict: lost ? "unclaimed" : verdict,
        reason: lost ? unclaimedReason(session) : reason,
      };
    });
  }

  #unclaimedChannels(): StateReport[] {
    const records = this.connections === null ? [] : decodeConnections(this.connections);
    const counts = new Map<string, number>();
    for (const { name } of records) {
      const channel = name.slice(0, name.indexOf("#"));
      if (!this.#channels.has(channel)) counts.set(channel, (counts.get(channel) ?? 0) + 1);
    }
    return [...counts].map(([name, count]) => ({
      name,
      version: null,
      verdict: "unclaimed",
      reason: `this build does not go on with its ${count} connections: they are ended at the commit`,
    }));
  }

  #nameOf(token: bigint): string | null {
    return this.names.find((record) => record.token === token)?.name ?? null;
  }
}

function unclaimedReason(session: string): string {
  return session === LIVE_SESSION
    ? "this build does not take it back: it is dropped at the commit"
    : "this build has not taken it back before ready()";
}

function isUnsupported({ verdict }: { verdict: string }): boolean {
  return verdict === "unsupported";
}

function reasonOf(bad: TokenReport | StateReport): string {
  if (!("token" in bad)) return bad.reason ?? `state "${bad.name}" cannot be loaded`;
  const what = bad.name === null ? `token ${bad.token} of session "${bad.session}"` : `"${bad.name}"`;
  return `Cannot take back ${what}: ${bad.reason}`;
}

/** Reads what the service wrote, without believing it. */
async function readHandover(): Promise<HandedOver> {
  const { record } = await decodeEnvelope(readInput());
  return {
    role: "update",
    previous: record.metadata,
    blob: (handle) => blobOf(record, handle),
    subtree: (name) => subtreeOf(record, name),
    borrowFd(fd) {
      throw new HandoverError("ENOENT", `Cannot borrow fd ${fd}: a check has no descriptors`);
    },
    releaseFd() {},
  };
}

function readInput(): Uint8Array {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for (;;) {
    const chunk = new Uint8Array(64 * 1024);
    const count = Deno.stdin.readSync(chunk);
    if (count === null) break;
    chunks.push(chunk.subarray(0, count));
    size += count;
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

/** Not through `console`, which an application may have replaced. */
function print(nonce: string, report: ChildReport): void {
  const bytes = new TextEncoder().encode(formatReport(nonce, report));
  for (let at = 0; at < bytes.byteLength;) at += write(STDOUT, bytes.subarray(at));
}
