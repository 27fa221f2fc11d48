/**
 * The reboot: freeze everything, write the segment, jump. Synchronous from the first freeze to the jump, so that no
 * event of the application comes in between.
 *
 * Happy path: sessions are frozen in order, the segment is written and sealed, every descriptor is looked at once more,
 * and the next image starts.
 *
 * Unhappy paths: whatever fails, `execve` included, is undone in reverse order: sessions are unfrozen, the segment is
 * closed, subtrees are removed; the error says what failed. The service has not stopped. The kernel cannot do the last
 * part: after a failed kexec its sessions stay blocked.
 *
 * @module
 */
import { encodeLuo } from "../kho/abi/luo.ts";
import { NONCE_BYTES } from "../kho/abi/announcement.ts";
import type { ImageRecord } from "../kho/abi/image.ts";
import type { SegmentRecord } from "../kho/abi/segment.ts";
import { verifyIdentity } from "../kho/identity.ts";
import type { Journal } from "../kho/journal.ts";
import { jump } from "../kho/jump.ts";
import type { buildSegment } from "../kho/segment_build.ts";
import { blockForExec, bootId, getPid, monotonicNs, setMask, startTime } from "../sys/mod.ts";
import { LUO_SUBTREE, type Orchestrator } from "./orchestrator.ts";

/** What a reboot needs to know. */
export interface RebootPlan {
  /** The build that runs, as it can come back. */
  image: ImageRecord;
  /** The build to start. */
  next: ImageRecord;
  /** Stamps of this update; crosses. */
  journal: Journal;
  /** Descriptors that were inherited at the cold start, without CLOEXEC. */
  inherited: readonly number[];
  /** How often this process has jumped so far. */
  count: bigint;
  /** The runtime of the build that runs, held open, or null. */
  runtime?: number | null;
  /** The connection to the guardian, or null. */
  guardian?: number | null;
  /** Further subtrees, asked for once the sessions are frozen. */
  subtrees(): Iterable<readonly [name: string, bytes: Uint8Array]>;
  /** Writes the segment; an argument, because it is loaded only by who updates. */
  build: typeof buildSegment;
  /** Told when the segment is written, just before the jump: the moment for a guardian to get its duplicates. */
  written?(segment: WrittenSegment): void;
  /** Told when the jump did not happen, after {@linkcode written}. */
  unwritten?(): void;
}

/** A segment that is ready to cross. */
export interface WrittenSegment {
  /** Its size. */
  bytes: number;
  /** How many descriptors it lists. */
  fds: number;
  /** Its own descriptor. */
  fd: number;
  /** What its announcement repeats. */
  nonce: Uint8Array;
  /** All numbers that cross, its own included. */
  crossing: readonly number[];
}

/**
 * Freezes, writes and jumps.
 *
 * @param luo the orchestrator of the process
 * @param plan what to jump to
 * @throws {LuoError} what a handler answered to the freeze
 * @throws {SysError} what `execve` answered; in both cases everything is as before
 */
export function reboot(luo: Orchestrator, plan: RebootPlan): never {
  using undo = new DisposableStack();
  const { outgoing } = luo;
  // From here on a signal waits for the next image: a listener of this one would have no turn to hear it.
  const mask = blockForExec();
  undo.defer(() => setMask(mask));
  plan.journal.append("freezing");
  const sessions = luo.freeze();
  undo.defer(() => luo.unfreeze());

  const subtrees = [[LUO_SUBTREE, encodeLuo(sessions)] as const, ...plan.subtrees()];
  for (const [name, bytes] of subtrees) {
    outgoing.addSubtree(name, bytes);
    undo.defer(() => outgoing.removeSubtree(name));
  }
  for (const fd of plan.inherited) {
    outgoing.preserveFd(fd, "inherited");
    undo.defer(() => outgoing.unpreserveFd(fd));
  }
  const own = [[plan.journal.fd, "journal"], [plan.runtime, "runtime"], [plan.guardian, "guardian"]] as const;
  for (const [fd, role] of own) {
    if (fd === null || fd === undefined) continue;
    outgoing.preserveFd(fd, role);
    undo.defer(() => outgoing.unpreserveFd(fd));
  }

  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const record = describeHandover(luo, plan, nonce);
  record.fds.forEach(verifyIdentity);
  const segment = plan.build(record);
  undo.use(segment.memory);
  const { fd } = segment.memory;
  const crossing = [fd, ...record.fds.map(({ fd }) => fd)];
  undo.defer(() => plan.unwritten?.());
  plan.written?.({ bytes: segment.bytes, fds: record.fds.length, fd, nonce, crossing });
  plan.journal.append("jumping");
  jump({ image: plan.next, announcement: { fd, nonce, role: "update" }, crossing });
}

/**
 * The segment as it would be written from what is preserved at this moment.
 *
 * @param luo the orchestrator of the process
 * @param writer the build that writes, and how often the process has jumped
 * @param nonce what the announcement will repeat
 */
export function describeHandover(
  luo: Orchestrator,
  writer: Pick<RebootPlan, "image" | "count">,
  nonce: Uint8Array,
): SegmentRecord {
  const { outgoing } = luo;
  return {
    blobs: outgoing.blobs(),
    fds: outgoing.fds(),
    image: writer.image,
    metadata: {
      boot_id: bootId(),
      build: writer.image.fingerprint,
      count: writer.count + 1n,
      nonce,
      pid: getPid(),
      start_time: startTime(),
      written_ns: monotonicNs(),
    },
    subtrees: outgoing.subtrees(),
  };
}
