/**
 * Every open descriptor of the service, and what becomes of it at the next update. Loaded when somebody asks; a restart does
 * not pay for it.
 *
 * Happy path: {@linkcode reportDescriptors} goes through `/proc/self/fd`. A descriptor is what the first of these rules says:
 *
 * 1. What a session holds is `preserved`; of the session `heirloom`, the names that begin with `@` are `heirloom`.
 * 2. 0 to 2, and what came without `FD_CLOEXEC` at the cold start, is `inherited`.
 * 3. The device, the sessions, the journal, the guardian, the open runtime, and what each image makes for its own use are
 *    `heirloom`.
 * 4. What leads to the same open file as one of these is what that is: the application has its own number for it.
 * 5. A connection whose own address is that of a carried server is `preserved`: it is taken along when the update comes.
 * 6. `runtime` is what looks like it (`runtime_descriptors.ts`).
 * 7. The rest is `unknown`, with a hint.
 *
 * Unhappy paths: what is closed meanwhile is left out. While an update is under way, what it opens (the check of the new
 * build) is listed as `unknown`.
 *
 * @module
 */
import type { FdReport } from "../control/types.ts";
import { orchestrator } from "../luo/process.ts";
import { listenQueue } from "../sys/listen_queue.ts";
import { getsockname, listFds, sameOpenFile, type SocketAddress } from "../sys/mod.ts";
import { descriptorsForOwnUse } from "../sys/own_use.ts";
import { CLOEXEC, isClosed, type Look, lookAt, wordsFor } from "./descriptor_look.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { runtimeDescriptors } from "./runtime_descriptors.ts";
import { takeover } from "./takeover.ts";

/** So many descriptors are looked at before others have a turn. */
const BATCH = 200;

/** How Heirloom calls its own memory. */
const OWN_MEMORY = /^\/memfd:(luo:device|kho:\w+|heirloom:(?:names|plan)) \(deleted\)$/;

const STREAMS = ["stdin", "stdout", "stderr"];

/** What a report says beside the number and what it is. */
type Verdict = Pick<FdReport, "class"> & Partial<FdReport>;

/** A number that is known for what it is. */
interface Known {
  verdict: Verdict;
  /** What another number of the same open file is for. */
  duplicate: string | null;
}

/**
 * Looks at every open descriptor.
 *
 * @param life the application
 * @returns a report for each, by number
 */
export async function reportDescriptors(life: Lifecycle): Promise<FdReport[]> {
  life.finishReady();
  const known = await knownDescriptors(life);
  const looks = await lookAtAll(listFds());
  const verdicts = new Map<number, Verdict>();
  for (const look of looks) {
    const verdict = byNumber(look, known);
    if (verdict !== null) verdicts.set(look.fd, verdict);
  }
  const byInode = Map.groupBy(looks.filter(({ fd }) => verdicts.has(fd) && fd > 2), ({ inode }) => inode);
  for (const look of looks) {
    if (verdicts.has(look.fd)) continue;
    const verdict = asDuplicate(look, byInode.get(look.inode) ?? [], known, verdicts);
    if (verdict !== null) verdicts.set(look.fd, verdict);
  }
  const servers = carriedServers(life);
  for (const look of looks) {
    const verdict = verdicts.has(look.fd) ? null : asConnection(look, servers);
    if (verdict !== null) verdicts.set(look.fd, verdict);
  }
  const rest = looks.filter(({ fd }) => fd <= 2 || !verdicts.has(fd));
  for (const [fd, note] of runtimeDescriptors(rest, isSame)) {
    if (!verdicts.has(fd)) verdicts.set(fd, { class: "runtime", note });
  }
  return looks.flatMap((look) => report(look, verdicts.get(look.fd)) ?? []);
}

async function lookAtAll(fds: readonly number[]): Promise<Look[]> {
  const looks: Look[] = [];
  for (const [at, fd] of fds.entries()) {
    if (at % BATCH === BATCH - 1) await new Promise((resolve) => setTimeout(resolve, 0));
    const look = lookAt(fd);
    if (look !== null) looks.push(look);
  }
  return looks;
}

/** What is known by its number. */
async function knownDescriptors(life: Lifecycle): Promise<Map<number, Known>> {
  const known = new Map<number, Known>();
  const own = (fd: number | null | undefined, note: string): void => {
    if (typeof fd === "number") known.set(fd, { verdict: { class: "heirloom", note }, duplicate: note });
  };
  for (const [fd, note] of descriptorsForOwnUse()) own(fd, note);
  const { incoming } = takeover;
  for (const fd of incoming?.held() ?? []) {
    known.set(fd, {
      verdict: { class: "preserved", note: "handed over, held until its session is finished" },
      duplicate: "the application's own",
    });
  }
  if (incoming !== null && !incoming.committed) {
    own(incoming.announcement.fd, "handover segment");
    for (const { fd, kind } of incoming.record.fds) {
      if (kind === "journal" || kind === "guardian" || kind === "runtime") own(fd, kind);
    }
  }
  for (const { name: session, files } of life.sessions()) {
    for (const { fd, token, name, compatible } of files) {
      if (fd === null) continue;
      const isOwn = name?.startsWith("@") ?? false;
      const note = isOwn ? "control socket" : "held by the session";
      known.set(fd, {
        verdict: { class: isOwn ? "heirloom" : "preserved", note, session, token, name, compatible },
        duplicate: isOwn ? note : "the application's own",
      });
    }
  }
  if (life.device !== null) own((await life.build.wayBack()).runtime, "runtime of this build");
  const update = life.loaded?.current ?? null;
  if (update?.ended === false) {
    own(update.journal.fd, "journal");
    own(update.guarding?.fd, "guardian");
  }
  return known;
}

function byNumber({ fd, link, flags }: Look, known: ReadonlyMap<number, Known>): Verdict | null {
  const found = known.get(fd);
  if (found !== undefined) return found.verdict;
  if (fd <= 2) return { class: "inherited", note: STREAMS[fd] ?? null };
  const [, memory] = OWN_MEMORY.exec(link) ?? [];
  if (memory !== undefined) {
    return { class: "heirloom", note: memory === "luo:device" ? "device, session" : memory };
  }
  const isInherited = takeover.self.inherited.includes(fd) && (flags & CLOEXEC) === 0;
  return isInherited ? { class: "inherited", note: "was there at the cold start" } : null;
}

/** Another number for what is known. */
function asDuplicate(
  look: Look,
  candidates: readonly Look[],
  known: ReadonlyMap<number, Known>,
  verdicts: ReadonlyMap<number, Verdict>,
): Verdict | null {
  for (const { fd } of candidates) {
    const verdict = verdicts.get(fd);
    // What else is open of the surroundings' is the application's business.
    if (verdict === undefined || verdict.class === "inherited" || !isSame(look.fd, fd)) continue;
    return { ...verdict, note: known.get(fd)?.duplicate ?? verdict.note ?? null };
  }
  return null;
}

/** A server whose connections are carried. */
interface Server {
  name: string;
  address: SocketAddress;
  /** Does it say for itself what an update does with them? */
  leaves: boolean;
}

function carriedServers(life: Lifecycle): Server[] {
  const carriers = new Map(life.ports().map((port) => [port.name, port]));
  return life.sessions().flatMap(({ files }) => files).flatMap(({ name, compatible, fd }) => {
    const carrier = name === null ? undefined : carriers.get(name);
    if (name === null || fd === null || carrier === undefined || compatible !== "listener-v1") return [];
    return [{ name, address: getsockname(fd), leaves: (carrier.connections.uncarried ?? null) !== null }];
  });
}

function asConnection({ socket }: Look, servers: readonly Server[]): Verdict | null {
  if (socket === null || socket.listens || socket.type !== 1 || socket.local === null) return null;
  const { local } = socket;
  const server = servers.find(({ address }) => isOf(local, address));
  if (server === undefined) return null;
  const { name, leaves } = server;
  if (name.startsWith("@")) return { class: "heirloom", note: "connection to the control socket" };
  const note = `connection of "${name}"${leaves ? ", which says what an update does with it" : ""}`;
  return { class: "preserved", note, name, compatible: "stream-v1" };
}

/** Was a connection with this address accepted from a listener with that one? */
function isOf(local: SocketAddress, listener: SocketAddress): boolean {
  if ("port" in local && "port" in listener) {
    const any = listener.host === "0.0.0.0" || listener.host === "::";
    return local.port === listener.port && (any || local.host === listener.host);
  }
  if (local.family === "unix" && listener.family === "unix") return local.path === listener.path;
  return local.family === "abstract" && listener.family === "abstract" && local.name === listener.name;
}

function report(look: Look, verdict: Verdict | undefined): FdReport | null {
  const { fd, socket } = look;
  const unknown = {
    fd,
    class: "unknown" as const,
    note: null,
    session: null,
    token: null,
    name: null,
    compatible: null,
    hint: null,
    backlog: null,
  };
  try {
    return {
      ...unknown,
      what: wordsFor(look),
      backlog: socket?.listens ? listenQueue(fd) : null,
      ...(verdict ?? { hint: hintFor(fd) }),
    };
  } catch (error) {
    if (isClosed(error)) return null;
    throw error;
  }
}

function hintFor(fd: number): string {
  const handler = orchestrator().registry.find(fd);
  return handler === undefined
    ? "no handler: closed at the next update"
    : `closed at the next update; could be carried: live.inherit (${handler.compatible})`;
}

function isSame(a: number, b: number): boolean {
  try {
    return sameOpenFile(a, b);
  } catch (error) {
    if (isClosed(error)) return false;
    throw error;
  }
}
