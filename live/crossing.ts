/**
 * The crossing: from the last answer to the jump. Nothing is awaited here, so no event of the application comes in between.
 *
 * Happy path: what is not preserved yet is preserved, sessions are frozen, the segment is written, the guardian gets its
 * duplicates, and the next image starts.
 *
 * Unhappy paths: whatever fails is undone in reverse order and thrown: nothing has changed.
 *
 * @module
 */
import type { ImageRecord } from "../kho/abi/image.ts";
import { type ConnectionRecord, CONNECTIONS_SUBTREE, encodeConnections } from "../kho/abi/connections.ts";
import { encodeNames, HISTORY_SUBTREE, LIVE_SUBTREE } from "../kho/abi/live.ts";
import { listStreams } from "../handlers/streams.ts";
import { buildSegment } from "../kho/segment_build.ts";
import { orchestrator } from "../luo/process.ts";
import { reboot } from "../luo/reboot.ts";
import { addSeals, createMemfd, isOpenFd, OwnedFd, SEALS, writeAll } from "../sys/mod.ts";
import { connectionRecord } from "./http/connections.ts";
import { jumpingFaults } from "./injected.ts";
import type { PendingBuild, PendingUpdate } from "./pending.ts";
import type { ResolvedBuild } from "./resolve.ts";
import type { Self } from "./self.ts";
import { takeover } from "./takeover.ts";
import type { UpdateHost } from "./update_host.ts";
import type { WayBack } from "./way_back.ts";
import { keepSocket } from "./control_socket.ts";
import { CACHED_ONLY } from "./launch.ts";
import type { Update } from "./update_state.ts";

/** Between which builds an update crosses. */
export interface Crossing {
  /** The build that runs. */
  self: Self;
  /** The build to start. */
  resolved: ResolvedBuild;
  /** The way back. */
  back: ImageRecord;
  /** Where it leads, and with which runtime. */
  way: WayBack;
  /** The modules of both, encoded, or null. */
  graphs: Uint8Array | null;
}

/**
 * Preserves, freezes, writes and jumps.
 *
 * @param host the service
 * @param update the update, all of whose phases up to this one have gone well
 * @param between the two builds
 * @throws what kept it from happening
 */
export function cross(host: UpdateHost, update: Update, between: Crossing): never {
  const { resources, states, history } = host;
  const { self, resolved, back, way, graphs } = between;
  const { guarding, journal } = update;
  const { runtime } = way;
  using undo = new DisposableStack();
  const outgoing = host.outgoing();
  resources.start();
  const connections = giveConnections(host, undo);
  const names = createMemfd("heirloom:names");
  undo.use(names);
  writeAll(names.fd, encodeNames(resources.names()));
  addSeals(names.fd, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
  outgoing.preserveFd(names.fd, 0n);
  undo.defer(() => outgoing.unpreserveFd(0n));
  update.files = outgoing.files().length;

  const pending = describe(host, update, between);
  const next = cachedOnly(resolved.image);
  reboot(orchestrator(), {
    image: back,
    next,
    journal,
    inherited: self.inherited.filter(isOpenFd),
    runtime,
    guardian: guarding?.fd ?? null,
    count: host.count,
    build: buildSegment,
    subtrees: () => {
      takeover.fault?.("freezing");
      const own = [LIVE_SUBTREE, states.save()] as const;
      const past = [HISTORY_SUBTREE, history.encode(pending, graphs)] as const;
      if (connections.length === 0) return [own, past];
      return [own, past, [CONNECTIONS_SUBTREE, encodeConnections(connections)] as const];
    },
    written: (segment) => {
      update.segmentBytes = segment.bytes;
      update.fds = segment.fds;
      const { deadline: deadlineNs, lastWords } = update;
      keepSocket(guarding !== null);
      guarding?.entrust({ image: back, runtime, journal, deadlineNs, lastWords }, segment);
      takeover.fault?.("jumping", jumpingFaults(segment, journal.fd, next.env));
    },
    unwritten: () => {
      keepSocket(false);
      guarding?.revoke();
    },
  });
}

/** So many connections of a server have names of their own; more of them are one list. */
const FEW = 16;

/**
 * Gives all connections to the handover: by name as long as they are few, or else in one list for each server.
 *
 * @returns what crosses beside them
 */
function giveConnections(host: UpdateHost, undo: DisposableStack): ConnectionRecord[] {
  const { resources } = host;
  const records: ConnectionRecord[] = [...resources.kept.connections];
  const give = (name: string, kind: "connection" | "connections", fd: OwnedFd): void => {
    resources.give(name, kind, fd);
    undo.defer(() => resources.drop(name));
  };
  for (const { name: server, connections } of host.ports()) {
    const taken = connections.takeDescriptors();
    // All of them first: what fails for one must not leave the rest.
    undo.defer(() => taken.forEach(({ fd }) => fd[Symbol.dispose]()));
    const many = taken.length > FEW;
    if (many) give(`${server}#*`, "connections", listStreams(taken.map(({ fd }) => fd.fd)));
    for (const [index, { fd, about }] of taken.entries()) {
      const name = `${server}#${index + 1}`;
      if (!many) give(name, "connection", OwnedFd.adopt(fd.release()));
      if (about !== null) records.push(connectionRecord(name, about));
    }
  }
  return records;
}

function describe(host: UpdateHost, update: Update, between: Crossing): PendingUpdate {
  const { self, resolved, way } = between;
  const from: PendingBuild = {
    info: host.build.info(),
    fingerprint: self.image.fingerprint,
    name: self.image.names.entry ?? self.image.entry,
    execName: self.image.names.exec ?? self.image.exec,
    heirloom: self.spec?.heirloomName ?? null,
    snapshot: way.key,
  };
  return {
    id: update.id,
    from,
    to: resolved.build,
    deadline: update.deadline.toString(),
    commitAfterMs: update.request.commitAfterMs ?? 0,
    previous: host.build.previous,
    guardian: update.guarding?.pid ?? null,
    lastWords: update.lastWords?.path ?? null,
    warnings: update.warnings,
    closed: update.closed,
  };
}

/** The check has filled the cache; a download would hold up everyone who waits. */
function cachedOnly(image: ImageRecord): ImageRecord {
  const [runtime = "", subcommand = "", ...rest] = image.argv;
  const added = image.argv.includes(CACHED_ONLY) ? [] : [CACHED_ONLY];
  return { ...image, env: [...image.env], argv: [runtime, subcommand, ...added, ...rest] };
}
