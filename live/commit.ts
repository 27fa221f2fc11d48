/**
 * The commit of an update, in the new build: everyone is asked, the guardian releases, and from then on nothing leads back.
 *
 * Happy path: {@linkcode Commit.check} when the application is ready, {@linkcode Commit.run} at once or after the healthy
 * seconds that were asked for, {@linkcode Commit.late} once clients have been answered.
 *
 * Unhappy path: a handler that is not done: `EBUSY`, nothing changed, and it may be tried again until the deadline.
 *
 * @module
 */
import type { UpdateRecord } from "../control/types.ts";
import { UNGUARDED_EVENT } from "../kho/abi/journal.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import type { Device } from "../luo/device.ts";
import { LuoError } from "../luo/errors.ts";
import type { Session } from "../luo/session.ts";
import type { Guard } from "../kho/guard.ts";
import { dupFd, type OwnedFd, pendingSignals, SIGNALS } from "../sys/mod.ts";
import { takeGivenUp } from "./given_up_children.ts";
import { endConnections } from "./handed_session.ts";
import type { History } from "./history.ts";
import type { ReaperHost } from "./kinds/child_reaper.ts";
import type { Resources } from "./resources.ts";
import { reportLate } from "./starter.ts";
import type { States } from "./states.ts";
import { commitHandover, takeover } from "./takeover.ts";
import { makeRecord, tellUpdate } from "./verdict.ts";

/** What is committed. */
export interface CommitParts {
  /** What was handed over. */
  incoming: IncomingKho;
  /** The open device. */
  device: Device;
  /** The session `heirloom` that was handed over, or null. */
  session: Session | null;
  /** The names of this build. */
  resources: Resources;
  /** The states of this build. */
  states: States;
}

/** The commit of one update. */
export class Commit {
  readonly #parts: CommitParts;
  #guardian: UpdateRecord["guardian"] = "off";
  #files = 0;
  #dropped: string[] = [];
  #children: OwnedFd[] = [];

  /** @param parts what is committed */
  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  /**
   * Asks every handler, and whether there is room to serve.
   *
   * @throws {LuoError} `EBUSY` when one is not done
   * @throws {SysError} `EMFILE` when no descriptor is left: no connection could be accepted, now or ever
   */
  check(): void {
    checkRoom(this.#parts.incoming.announcement.fd);
    const blocker = this.#parts.session?.blocker() ?? null;
    if (blocker === null) return;
    throw new LuoError(
      "EBUSY",
      `Cannot commit: handler "${blocker.compatible}" is not done with token ${blocker.token}`,
    );
  }

  /**
   * Commits: the guardian's release is the commit.
   *
   * @throws {LuoError} `EBUSY` as {@linkcode check}
   */
  run(): void {
    this.check();
    const { incoming, device, session, resources, states } = this.#parts;
    const unclaimed = resources.unclaimed();
    this.#dropped = [
      ...unclaimed.filter(({ kind }) => kind !== "connection" && kind !== "part").map(({ name }) => name),
      ...states.unclaimed(),
    ];
    this.#files = device.sessions().filter(({ direction }) => direction === "incoming")
      .reduce((sum, incoming) => sum + incoming.files().length, 0);
    this.#guardian = release(incoming);
    incoming.journal?.append("committed");
    takeover.probation?.disarm();
    takeover.fault?.("committed");
    if (session === null) return;
    endConnections(session, unclaimed);
    this.#children = takeGivenUp(session, unclaimed);
    session[Symbol.dispose]();
  }

  /**
   * What nobody waits for: the last descriptors, the end of the guardian, the record. Nobody hears that the update has
   * ended while something of it is left.
   *
   * @param history gets the record
   * @param generation committed updates so far
   * @param host reaps children that this build does not go on with
   * @returns resolves when the record is there
   */
  async late(history: History, generation: number, host: ReaperHost): Promise<void> {
    const record = makeRecord(this.#parts.incoming, {
      files: this.#files,
      dropped: this.#dropped,
      guardian: this.#guardian,
      generation,
    });
    if (record !== null) tellUpdate(record);
    settleWords(takeover.pending?.lastWords ?? null, record);
    commitHandover();
    if (this.#children.length > 0) await reapAll(host, this.#children).catch(reportLate);
    const { guard } = takeover;
    if (guard !== null && !(this.#guardian === "watched" && guard.isGone())) {
      await farewell(guard, this.#guardian === "died").catch(reportLate);
    }
    if (record !== null) history.add(record);
  }
}

async function reapAll(host: ReaperHost, children: readonly OwnedFd[]): Promise<void> {
  const { reapLater } = await import("./kinds/child_reaper.ts");
  for (const child of children) reapLater(host, child);
}

/** How many descriptors have to be free. */
const ROOM = 4;

/** The runtime stops accepting for good once it fails for want of a descriptor: better not to begin. */
function checkRoom(fd: number): void {
  using room = new DisposableStack();
  for (let count = 0; count < ROOM; count++) room.use(dupFd(fd));
}

/** Asks the guardian to let go, and says what became of it. */
function release({ role, journal }: IncomingKho): UpdateRecord["guardian"] {
  if (role === "recovery") return "acted";
  if (takeover.guard === null) return takeover.pending?.guardian ? "died" : "off";
  const verdict = takeover.guard.release();
  const failed = journal?.entries().some(({ phase }) => phase === UNGUARDED_EVENT) ?? false;
  return verdict === "released" && !failed ? "watched" : "died";
}

async function farewell(guard: Guard, died: boolean): Promise<void> {
  await guard.reap();
  if (!died) return;
  // It was the main process for the service manager, and cannot give that back any more.
  const { announceMainPid } = await import("./main_pid.ts");
  await announceMainPid(Deno.pid);
}

/**
 * The words that were left in advance are not needed, unless a signal was held that ends the process before anyone could
 * ask how the update ended: then this is what they say.
 */
function settleWords(path: string | null, record: UpdateRecord | null): void {
  if (path === null) return;
  try {
    const stops = pendingSignals().some((signal) => signal === SIGNALS.SIGTERM || signal === SIGNALS.SIGINT);
    if (stops && record !== null) {
      Deno.writeTextFileSync(path, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    } else Deno.removeSync(path);
  } catch {
    // They were never left, or somebody took them away.
  }
}
