/**
 * Starting a child with exactly the descriptors it shall have (`posix_spawn(3)`).
 *
 * Happy path: `spawnProcess({ path, argv, env, fds: [[socket.fd, 3], [pidfd.fd, 4]] })` gives a child in which these are
 * 3 and 4, nothing else is open but 0 to 2, and no signal is blocked. It is ours to reap: Deno does not know of it.
 *
 * Unhappy path: the program cannot be started: `SysError` with the reason, and there is no child.
 *
 * @module
 */

import { SysError } from "./errno.ts";
import { layOut } from "./exec.ts";
import { dupFd } from "./owned_fd.ts";
import { encodeMask, SIGNALS } from "./signals.ts";
import { call } from "./symbols.ts";
import { cString } from "./text.ts";

/** Sizes of `posix_spawn_file_actions_t` and `posix_spawnattr_t` in glibc, the same on x86-64 and aarch64. */
const FILE_ACTIONS_BYTES = 80;
const ATTRIBUTES_BYTES = 336;
const POSIX_SPAWN_SETPGROUP = 2;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
const POSIX_SPAWN_SETSID = 0x80;
const O_RDWR = 2;

/** What a terminal and a shell do by signals: a service that was started without a terminal may ignore some of them. */
const TERMINAL_SIGNALS: readonly number[] = [
  SIGNALS.SIGHUP,
  SIGNALS.SIGINT,
  SIGNALS.SIGQUIT,
  SIGNALS.SIGPIPE,
  SIGNALS.SIGTERM,
  SIGNALS.SIGCHLD,
  SIGNALS.SIGTSTP,
  SIGNALS.SIGTTIN,
  SIGNALS.SIGTTOU,
  SIGNALS.SIGWINCH,
];

/** What to start. */
export interface SpawnOptions {
  /** The program, by path; PATH is not searched. */
  path: string;
  /** Its arguments, its own name first. */
  argv: readonly string[];
  /** Its environment, entries `NAME=value`; nothing is inherited. */
  env: readonly (Uint8Array | string)[];
  /** Which descriptor, borrowed, becomes which number. Those of 0 to 2 that are not named are inherited. */
  fds: readonly (readonly [from: number, to: number])[];
  /** Its working directory. @default {that of this process} */
  cwd?: string;
  /**
   * Path of a terminal, which becomes 0 to 2. The child leads a session of its own whose controlling terminal it is, and the
   * signals that a terminal sends are not ignored. @default {no other session}
   */
  terminal?: string;
  /** Does it lead a process group of its own? @default {false} */
  group?: boolean;
}

/**
 * Starts a child. Signals that this process ignores stay ignored, as `nohup` expects; SIGPIPE, which the runtime ignores
 * for itself, does not.
 *
 * @param options what to start, and with what
 * @returns its PID; the caller has to reap it
 * @throws {SysError} ENOENT, EACCES, EBADF, EMFILE, EAGAIN, ENOMEM, ...
 * @throws {TypeError} if a string contains a NUL
 * @throws {RangeError} if a number is named twice
 */
export function spawnProcess(options: SpawnOptions): number {
  const { path, fds } = options;
  const image = layOut(path, [...options.argv], options.env);
  const numbers = new Set(fds.map(([, to]) => to));
  if (numbers.size !== fds.length) {
    throw new RangeError(`Cannot start ${JSON.stringify(path)}: a descriptor number is named twice`);
  }
  const highest = Math.max(2, ...numbers);

  using cleanUp = new DisposableStack();
  const actions = new Uint8Array(FILE_ACTIONS_BYTES);
  const attributes = new Uint8Array(ATTRIBUTES_BYTES);
  const must = (errno: number): void => {
    if (errno !== 0) throw new SysError("posix_spawn", errno, JSON.stringify(path));
  };

  must(call.posix_spawn_file_actions_init(actions));
  cleanUp.defer(() => void call.posix_spawn_file_actions_destroy(actions));
  if (options.cwd !== undefined) {
    must(call.posix_spawn_file_actions_addchdir_np(actions, cString(options.cwd)));
  }
  if (options.terminal !== undefined) {
    // It has left its old session by now, so the first terminal that it opens is its own (open(2), O_NOCTTY).
    must(call.posix_spawn_file_actions_addopen(actions, 0, cString(options.terminal), O_RDWR, 0));
    for (const to of [1, 2]) must(call.posix_spawn_file_actions_adddup2(actions, 0, to));
  }
  for (const [from, to] of fds) {
    // A descriptor in the range of the new numbers might be replaced before its turn comes.
    const source = from > highest ? from : cleanUp.use(dupFd(from, highest + 1)).fd;
    must(call.posix_spawn_file_actions_adddup2(actions, source, to));
  }
  for (let fd = 3; fd <= highest; fd++) {
    if (!numbers.has(fd)) must(call.posix_spawn_file_actions_addclose(actions, fd));
  }
  must(call.posix_spawn_file_actions_addclosefrom_np(actions, highest + 1));

  must(call.posix_spawnattr_init(attributes));
  cleanUp.defer(() => void call.posix_spawnattr_destroy(attributes));
  let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  if (options.terminal !== undefined) flags |= POSIX_SPAWN_SETSID;
  // Who leads a session leads its process group as well.
  else if (options.group === true) {
    flags |= POSIX_SPAWN_SETPGROUP;
    must(call.posix_spawnattr_setpgroup(attributes, 0));
  }
  const signals = options.terminal === undefined ? [SIGNALS.SIGPIPE] : TERMINAL_SIGNALS;
  must(call.posix_spawnattr_setflags(attributes, flags));
  must(call.posix_spawnattr_setsigdefault(attributes, encodeMask(signals)));
  must(call.posix_spawnattr_setsigmask(attributes, encodeMask([])));

  const pid = new Int32Array(1);
  must(call.posix_spawn(pid, image.path, actions, attributes, image.argv, image.env));
  return pid[0] ?? -1;
}
