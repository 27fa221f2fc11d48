/**
 * `streams-v1`: many connected streams as one file of a session: a sealed memfd with the numbers of their descriptors. A
 * server has thousands of idle connections of which nothing is to be said but that they are there; a name, a token and a
 * record for each would cost more than all the rest of an update.
 *
 * Preserved:
 * - every connection of the list, as `stream-v1` does
 *
 * Not preserved:
 * - bytes in user space; a connection that has some is a file of its own (`stream-v1`)
 *
 * Taken with: `live.serve`, `live.server`.
 *
 * Who gives the list keeps the descriptors open until the jump, and takes them back with {@linkcode takeStreams}.
 *
 * @module
 */
import {
  addSeals,
  createMemfd,
  dupFd,
  fdLink,
  fstat,
  type OwnedFd,
  readWhole,
  SEALS,
  writeAll,
} from "../sys/mod.ts";
import { HandoverError } from "../kho/errors.ts";
import type { FileHandler, IncomingArgs } from "../luo/handler.ts";

const NAME = "heirloom-streams";
const LINK = `/memfd:${NAME} (deleted)`;

/** More connections than a process can have. */
const MAX_LIST_BYTES = 4 * 1_000_000;

/**
 * Makes a list of connections.
 *
 * @param fds their descriptors, borrowed until the list is gone
 * @returns the list, the caller's
 * @throws {SysError} `EMFILE`, `ENOMEM`
 */
export function listStreams(fds: readonly number[]): OwnedFd {
  using undo = new DisposableStack();
  const list = undo.use(createMemfd(NAME));
  writeAll(list.fd, new Uint8Array(Uint32Array.from(fds).buffer));
  addSeals(list.fd, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
  undo.move();
  return list;
}

/**
 * Takes back the connections of a list that was retrieved.
 *
 * @param list the list, borrowed
 * @returns a new descriptor of each, the caller's, in the order of the list
 * @throws {SysError} `EMFILE`; then none is taken
 */
export function takeStreams(list: OwnedFd): OwnedFd[] {
  using undo = new DisposableStack();
  const fds = read(list.fd).map((fd) => undo.use(dupFd(fd)));
  undo.move();
  return fds;
}

/** Carries lists of connections. */
export const streamsHandler: FileHandler = {
  compatible: "streams-v1",
  check: ({ serializedData }) => void numberOf(serializedData),
  canPreserve: ({ fd }) => fdLink(fd) === LINK,
  preserve(args) {
    const { kho, fd } = args;
    const done: number[] = [];
    using undo = new DisposableStack();
    undo.defer(() => done.forEach((number) => kho.unpreserveFd(number)));
    for (const number of [fd, ...read(fd)]) {
      kho.preserveFd(number);
      done.push(number);
    }
    undo.move();
    args.serializedData = BigInt(fd);
  },
  unpreserve({ kho, fd }) {
    for (const number of [...read(fd), fd]) kho.unpreserveFd(number);
  },
  retrieve(args) {
    const fd = args.kho.borrowFd(numberOf(args.serializedData));
    for (const number of read(fd)) args.kho.borrowFd(number);
    return fd;
  },
  finish(args) {
    for (const number of held(args)) args.kho.releaseFd(number);
  },
  getId({ fd }) {
    const { dev, ino } = fstat(fd);
    return `${dev}:${ino}`;
  },
};

/** What the handover holds of a list, whether it was retrieved or not; of one that could not be, nothing is known. */
function held({ kho, serializedData, retrieveStatus }: IncomingArgs): number[] {
  if (typeof retrieveStatus !== "number") return [];
  const fd = kho.borrowFd(numberOf(serializedData));
  return [...read(fd), fd];
}

function read(list: number): number[] {
  const { size } = fstat(list);
  if (size % 4 !== 0 || size > MAX_LIST_BYTES) {
    throw new HandoverError(
      "CORRUPT",
      `Cannot read the connections in fd ${list}: ${size} bytes are no list`,
    );
  }
  return [...new Uint32Array(readWhole(list, size).slice().buffer)];
}

function numberOf(data: bigint): number {
  if (data <= 0x7fffffffn) return Number(data);
  throw new HandoverError("CORRUPT", `Cannot read a record of streams-v1: ${data} is no descriptor`);
}
