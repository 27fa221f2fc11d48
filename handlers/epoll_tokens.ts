/**
 * Which files the entries of an epoll belong to: `/proc` shows the numbers under which they were added, and such a number may
 * be closed or another file by now.
 *
 * Happy path: the number still is the file, kcmp(2) says so, and its token is known.
 *
 * Unhappy paths:
 * 1. The number is not the file any more: the file is looked for among the descriptors of this process.
 * 2. kcmp(2) is not allowed: where one entry has that number, epoll_ctl(2) itself tells whether it is for the file that the
 *    number is now; else a socket can be found by its inode. What remains uncertain is refused.
 * 3. The file is not preserved in the session: refused.
 *
 * @module
 */
import { HandoverError } from "../kho/errors.ts";
import { LuoError } from "../luo/errors.ts";
import { type EpollEntry, hasInterest, interestsOf, isInterestIn, kernelDevice } from "../sys/epoll.ts";
import { describeFd, fstat, isOpenFd, listFds, SysError } from "../sys/mod.ts";

/** What is needed of the arguments of a handler. */
export interface TokenArgs {
  /** The epoll. */
  readonly fd: number;
  /** Name of the session. */
  readonly session: string;
  /** The token of another file. */
  tokenOf(fd: number): bigint;
}

/** An entry and the token of its file. */
export interface EntryToken extends EpollEntry {
  /** The token in the session. */
  token: bigint;
}

/** As {@linkcode isInterestIn}. */
export type Compare = typeof isInterestIn;

/**
 * Finds the files of all entries.
 *
 * @param args the epoll and its session
 * @param compare is a descriptor the file of an entry?
 * @returns the entries with the tokens of their files
 * @throws {HandoverError} `ENOENT` for an entry on a file that is not preserved in the session, or that cannot be found
 */
export function entryTokens(args: TokenArgs, compare: Compare = isInterestIn): EntryToken[] {
  const entries = interestsOf(args.fd);
  return entries.map((entry) => {
    const alone = entries.every((other) => other === entry || other.tfd !== entry.tfd);
    return { ...entry, token: tokenOf(args, entry, findFile(args, entry, alone, compare)) };
  });
}

/** A descriptor of the file of an entry, or null. */
function findFile(args: TokenArgs, entry: EpollEntry, alone: boolean, compare: Compare): number | null {
  const { tfd } = entry;
  // A closed number is nobody's file; whether kcmp(2) is allowed, it tells of any other as well.
  const answer = compare(args.fd, entry, isOpenFd(tfd) ? tfd : args.fd);
  if (answer === null) return findWithoutKcmp(args, entry, alone);
  if (answer) return tfd;
  return listFds().find((fd) => compareIfOpen(args.fd, entry, fd, compare)) ?? null;
}

/** Another thread of the runtime may close what was open a moment ago. */
function compareIfOpen(epoll: number, entry: EpollEntry, fd: number, compare: Compare): boolean {
  try {
    return compare(epoll, entry, fd) === true;
  } catch (error) {
    if (error instanceof SysError && error.code === "EBADF") return false;
    throw error;
  }
}

function findWithoutKcmp(args: TokenArgs, entry: EpollEntry, alone: boolean): number | null {
  if (alone && isOpenFd(entry.tfd) && hasInterest(args.fd, entry.tfd)) return entry.tfd;
  // Anonymous inodes share one, and so do the two ends of a pipe; a socket has its own.
  return listFds().find((fd) => isOpenFd(fd) && isThatSocket(entry, fd)) ?? null;
}

function isThatSocket(entry: EpollEntry, fd: number): boolean {
  const { kind, ino, dev } = fstat(fd);
  return kind === "socket" && ino === entry.ino && kernelDevice(dev) === entry.sdev;
}

function tokenOf(args: TokenArgs, { tfd }: EpollEntry, fd: number | null): bigint {
  const action = `Cannot carry the entry on fd ${tfd} of an epoll`;
  if (fd === null) {
    throw new HandoverError("ENOENT", `${action}: its file cannot be found among those of this process`);
  }
  try {
    return args.tokenOf(fd);
  } catch (error) {
    if (!(error instanceof LuoError) || error.code !== "ENOENT") throw error;
    throw new HandoverError(
      "ENOENT",
      `${action}: its file, ${describeFd(fd)}, is not preserved in session "${args.session}"`,
      { cause: error },
    );
  }
}
