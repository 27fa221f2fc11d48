/**
 * `eventfd-v1`: an eventfd, a counter that processes wake each other with.
 *
 * Preserved:
 * - the counter with what was added and nobody has read, and what others who share it add while nobody reads
 * - its mode: does a read take all, or one of it (`EFD_SEMAPHORE`)?
 * - the status flags (`O_NONBLOCK`)
 *
 * Not preserved:
 * - what the application has read and not dealt with
 *
 * Taken with: `live.eventfd`.
 *
 * @module
 */
import { createEventfd } from "../sys/eventfd.ts";
import { getFlags } from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { anonymousKind, infoOf, mustEqual } from "./anonymous.ts";
import { descriptorHandler } from "./descriptor.ts";

/** What never changes of an eventfd. A kernel before 5.2 does not tell the first, one before 6.5 the second. */
interface EventfdIdentity {
  /** The kernel's number for it. */
  id?: number;
  /** 1 where each read takes one. */
  semaphore?: number;
}

const WHAT = "eventfd";

function identityOf(info: Map<string, string>): EventfdIdentity {
  const [id, semaphore] = [info.get("eventfd-id"), info.get("eventfd-semaphore")];
  return {
    ...(id === undefined ? {} : { id: Number(id) }),
    ...(semaphore === undefined ? {} : { semaphore: Number(semaphore) }),
  };
}

/**
 * Does each read of an eventfd take one instead of all?
 *
 * @param fd an eventfd, borrowed
 * @returns the answer, or null where the kernel does not tell
 * @throws {HandoverError} `WRONG_DESCRIPTOR` where it is no eventfd
 */
export function isSemaphore(fd: number): boolean | null {
  const { semaphore } = identityOf(infoOf(fd, "eventfd-count", `an ${WHAT}`));
  return semaphore === undefined ? null : semaphore === 1;
}

/** Carries eventfds. */
export const eventfdHandler: FileHandler = descriptorHandler({
  compatible: "eventfd-v1",
  version: 1,
  steady: true,
  accepts: (fd) => anonymousKind(fd) === "eventfd",
  describe(fd) {
    const info = infoOf(fd, "eventfd-count", `an ${WHAT}`);
    return {
      ...identityOf(info),
      count: BigInt(`0x${info.get("eventfd-count")}`),
      flags: getFlags(fd),
    };
  },
  verify(fd, record) {
    // The count is anybody's who shares it.
    mustEqual(fd, WHAT, { ...identityOf(infoOf(fd, "eventfd-count", `an ${WHAT}`)) }, record);
  },
  standIn: (record) => createEventfd({ semaphore: record.maybe("semaphore") === 1 }),
});
