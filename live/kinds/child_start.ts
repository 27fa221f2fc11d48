/**
 * The start of a child: its pipes, and the process itself.
 *
 * Happy path: {@linkcode openEnds} makes the pipes, {@linkcode startChild} the process, which then has its ends of them and
 * nothing else.
 *
 * Unhappy paths: whatever fails leaves neither pipe nor process. A process that runs already when the descriptor that it
 * needs is refused is killed and reaped.
 *
 * @module
 */
import {
  dupFd,
  killProcess,
  openFile,
  type OwnedFd,
  reapIfEnded,
  setNonblocking,
  SIGNALS,
} from "../../sys/mod.ts";
import { openPidfd } from "../../sys/pidfd.ts";
import { createPipe } from "../../sys/pipe.ts";
import { spawnProcess } from "../../sys/spawn.ts";
import type { CommandPlan } from "./child_command.ts";

/** The names of the standard streams, by number. */
export const STREAMS = ["stdin", "stdout", "stderr"] as const;

/** The name of a standard stream. */
export type StreamName = typeof STREAMS[number];

/** What a standard stream of a child is: a pipe to us, that of the application, `/dev/null`, or a descriptor, borrowed. */
export type StreamSource = "piped" | "inherit" | "null" | number;

/** Both sides of the standard streams of a child. */
export interface Ends extends Disposable {
  /** Our ends of those that are pipes, nonblocking; the taker's. */
  readonly ours: Readonly<Record<StreamName, OwnedFd | null>>;
  /** What becomes which number in the child; closed with the disposal. */
  readonly theirs: readonly (readonly [from: number, to: number])[];
  /** Closes another descriptor with them. */
  hold(fd: OwnedFd): OwnedFd;
}

/** Descriptors that must be free for a child: its pidfd, what is held of that, and what waits for its end. */
const ROOM = 3;

/** Milliseconds between two looks at a process that was killed. */
const LOOK_MS = 5;

/**
 * Makes what the standard streams of a child are.
 *
 * @param sources what each is to be; borrowed descriptors are duplicated
 * @returns both sides; its disposal closes the child's
 * @throws {SysError} EMFILE; EBADF for a descriptor that is not open
 * @throws {RangeError} for a number that is no descriptor
 */
export function openEnds(sources: Readonly<Record<StreamName, StreamSource>>): Ends {
  using undo = new DisposableStack();
  const theirs = new DisposableStack();
  undo.use(theirs);
  const ours: Record<StreamName, OwnedFd | null> = { stdin: null, stdout: null, stderr: null };
  const fds = STREAMS.flatMap((stream, number): [number, number][] => {
    const source = sources[stream];
    if (source === "inherit") return [];
    if (source !== "piped") {
      const own = source === "null" ? openFile("/dev/null", { read: true, write: true }) : borrow(source);
      return [[theirs.use(own).fd, number]];
    }
    const { read, write } = createPipe();
    const [near, far] = stream === "stdin" ? [write, read] : [read, write];
    ours[stream] = undo.use(near);
    theirs.use(far);
    // An end of a pipe is a description of its own: that of the child keeps waiting.
    setNonblocking(near.fd, true);
    return [[far.fd, number]];
  });
  undo.move();
  return { ours, theirs: fds, hold: (fd) => theirs.use(fd), [Symbol.dispose]: () => theirs.dispose() };
}

function borrow(fd: number): OwnedFd {
  if (Number.isInteger(fd) && fd >= 0) return dupFd(fd);
  throw new RangeError(`Cannot give fd ${fd} to a child: not a descriptor number`);
}

/** A child that runs. */
export interface Started {
  /** Its PID. */
  readonly pid: number;
  /** The process by descriptor; the taker's. */
  readonly pidfd: OwnedFd;
}

/**
 * Starts a child.
 *
 * @param plan what to start
 * @param streams its standard streams, or the path of the terminal that they are, in which it leads a session
 * @param take called with the descriptor of the process; when it throws, there is no child
 * @returns the child
 * @throws {SysError} what posix_spawn(3) answers: EAGAIN at the limit of processes, ENOEXEC, ENOMEM; EMFILE
 * @throws what `take` throws
 */
export function startChild(
  plan: CommandPlan,
  streams: Pick<Ends, "theirs"> | { readonly terminal: string },
  take: (pidfd: OwnedFd) => void,
): Started {
  {
    // What is refused for want of descriptors is refused before there is a process.
    using room = new DisposableStack();
    for (let count = 0; count < ROOM; count++) room.use(openFile("/dev/null"));
  }
  const { path, argv, env, cwd, group } = plan;
  const where = cwd === undefined ? {} : { cwd };
  const inside = "terminal" in streams ? { fds: [], terminal: streams.terminal } : { fds: streams.theirs };
  const pid = spawnProcess({ path, argv, env, group, ...inside, ...where });
  using undo = new DisposableStack();
  undo.defer(() => endAtOnce(pid));
  const pidfd = undo.use(openPidfd(pid));
  take(pidfd);
  undo.move();
  return { pid, pidfd };
}

/** Kills a child that nobody has heard of, and reaps it. Until then its PID is nobody else's. */
function endAtOnce(pid: number): void {
  killProcess(pid, SIGNALS.SIGKILL);
  const look = (): void => {
    if (reapIfEnded(pid) === null) setTimeout(look, LOOK_MS);
  };
  look();
}
