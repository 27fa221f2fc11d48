/**
 * The part of {@linkcode Live} that is about what else can be open besides files, memory and sockets. Each kind has a module
 * of its own in `kinds/`, loaded when it is asked for, so that a service without it starts without it.
 *
 * Happy path: a resource is made by name, or taken back under the same name by the next build, in the state that it has.
 *
 * Unhappy paths: see the methods.
 *
 * @module
 */
import type { OwnedFd } from "../sys/mod.ts";
import { checkType, type InheritOptions } from "./inherit.ts";
import type { ChildOptions } from "./kinds/child.ts";
import type { LiveChild } from "./kinds/child_process.ts";
import type { LiveDirectory } from "./kinds/directory.ts";
import type { EpollOptions, LiveEpoll } from "./kinds/epoll.ts";
import type { LiveEventfd, LiveEventfdOptions } from "./kinds/eventfd.ts";
import type { PipeOptions } from "./kinds/pipe.ts";
import type { LivePipe } from "./kinds/pipe_types.ts";
import type { SharedMemory, ShmOptions } from "./kinds/shm.ts";
import type { LiveTerminal, TerminalOptions } from "./kinds/terminal.ts";
import type { LiveTimer, LiveTimerOptions } from "./kinds/timer.ts";
import type { LiveWatch, WatchOptions } from "./kinds/watch.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { take } from "./take.ts";

/** Everything that can be open. */
export class LiveResources {
  readonly #life: Lifecycle;

  /** For `open()` only. */
  constructor(life: Lifecycle) {
    this.#life = life;
  }

  /**
   * Takes back the descriptor of that name, or creates it: the general form, for everything that has no method of its own.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param create makes the descriptor when nothing was handed over; the application's from then on
   * @param options which type of descriptor it has to be
   * @returns the descriptor, the application's; it must stay open as long as it is to survive updates
   * @throws {LuoError} `EEXIST` name in use, of another kind, or handed over with another type; `ENOENT` no handler carries
   * such a descriptor; `EINVAL` a bad name, or `create` made another type; `EBADF` it gave one that is closed
   */
  async inherit(
    name: string,
    create: () => OwnedFd | Promise<OwnedFd>,
    options: InheritOptions = {},
  ): Promise<OwnedFd> {
    const { resources } = this.#life;
    const fd = await take(resources, name, "descriptor", create, undefined, (fd, handed) => {
      checkType(name, fd.fd, options.type, handed);
    });
    return fd;
  }

  /**
   * Takes back the open directory of that name, or opens it: a service goes on in it whatever becomes of its path.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param path what is opened when nothing was handed over
   * @throws {LuoError} `EEXIST` name in use, or handed over as another kind; `EINVAL` a bad name; `ENOENT` no handler carries
   * it, such as one of `/proc`
   * @throws {SysError} `ENOENT`, `ENOTDIR`, `EACCES` and what else open(2) answers
   */
  async directory(name: string, path: string): Promise<LiveDirectory> {
    const { openDirectory } = await import("./kinds/directory.ts");
    return await openDirectory(this.#life, name, path);
  }

  /**
   * Takes back the interest list of that name, or makes one (epoll(7)). What it watches has to be resources of this service:
   * an entry on anything else refuses the update.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options what is done with what is ready
   * @returns the list; nothing is told before `ready()`
   * @throws {LuoError} `EEXIST` name in use, or of another kind; `EINVAL` a bad name
   * @throws {SysError} `EMFILE`
   */
  async epoll(name: string, options: EpollOptions = {}): Promise<LiveEpoll> {
    const { openEpoll } = await import("./kinds/epoll.ts");
    return await openEpoll(this.#life, name, options);
  }

  /**
   * Takes back the eventfd of that name, or makes one: a counter with which processes wake each other. What is in it crosses,
   * also what others add during an update.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options how it is made, and what is done with what it counts
   * @returns the eventfd
   * @throws {LuoError} `EEXIST` name in use, of another kind, or handed over in the other mode; `EINVAL` bad name
   * @throws {RangeError} an initial value that no counter holds (eventfd(2))
   * @throws {SysError} `EMFILE`, `ENFILE`
   */
  async eventfd(name: string, options: LiveEventfdOptions = {}): Promise<LiveEventfd> {
    const { openEventfd } = await import("./kinds/eventfd.ts");
    return await openEventfd(this.#life, name, options);
  }

  /**
   * Takes back the pipe of that name with what is in it, or makes one: an anonymous pipe with both its ends, one of which is
   * for a child, or a FIFO (fifo(7)) at a path. Nothing is read before `ready()`, and nothing here waits for the other end.
   *
   * @param name 1 to 63 bytes without `#` and `@`; the end for writing of an anonymous pipe is listed as `name#write`
   * @param options what it is, and what is done with what comes out of it
   * @throws {LuoError} `EEXIST` name in use, or handed over as another kind; `EINVAL` a bad name, or the path is no FIFO;
   * `ENOENT` nothing is at the path; `ENXIO` nobody reads the FIFO that is to be written
   * @throws {SysError} `EMFILE`; `EPERM` a capacity beyond `/proc/sys/fs/pipe-max-size`; what mkfifo(3) and open(2) answer
   * @throws {TypeError} options that contradict each other
   * @throws {RangeError} a capacity that is none
   */
  async pipe(name: string, options: PipeOptions = {}): Promise<LivePipe> {
    const { openPipe } = await import("./kinds/pipe.ts");
    return await openPipe(this.#life, name, options);
  }

  /**
   * Takes back the POSIX shared memory of that name, or opens it: memory that other programs open by a name of their own
   * (`shm_open(3)`). What is created is filled with zeros. What is there already keeps its content and its size, and grows at
   * `ready()` if it is smaller; it is never cut. Room is found for all of it at once, so that no touch can fail.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param shmName what other programs call it: a slash and 1 to 254 bytes without a slash
   * @param options its size in bytes, and how it is opened when it was not handed over
   * @returns the memory
   * @throws {LuoError} `EEXIST` name in use, or handed over as another kind; `EINVAL` a bad name, or what lies under it is
   * no shared memory; `ENOENT` there is none and `create` is false; `ENOMEM` more than the machine has
   * @throws {RangeError} a size that is no positive safe integer
   * @throws {SysError} `ENOSPC` no room on `/dev/shm`, `EACCES`, `EMFILE`, `EFBIG` beyond `RLIMIT_FSIZE`, and what else
   * shm_open(3) answers
   */
  async shm(name: string, shmName: string, options: ShmOptions): Promise<SharedMemory> {
    const { takeShm } = await import("./kinds/shm.ts");
    return await takeShm(this.#life, name, shmName, options);
  }

  /**
   * Takes back the child process of that name, or starts it: it goes on while the service replaces itself, and its output and
   * its end wait for the next build.
   *
   * The child gets descriptors 0 to 2 and no other, no blocked signal, and the variables of the application. What it was
   * started with stays as it is when another build takes it back. A build that takes over starts a new child at the commit,
   * in `ready()`. Nothing is read, and no end told, before `ready()`.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options what is started, and what is done with what comes from it
   * @throws {LuoError} `EEXIST` name in use or of another kind; `EINVAL` a bad name; `ENOENT` no handler carries a descriptor
   * @throws {SysError} `ENOENT` no such program or directory, `ENOTDIR`; `EACCES` not executable; `ENOEXEC` of no known format
   * (execve(2)); `EAGAIN` too many processes (`RLIMIT_NPROC`), `EMFILE` too many descriptors, `ENOMEM`: there is no child then
   * @throws {TypeError} a command, an environment or a directory that cannot be one
   * @throws {RangeError} a number that is no descriptor
   */
  async spawn(name: string, options: ChildOptions): Promise<LiveChild> {
    const { openChild } = await import("./kinds/child.ts");
    return openChild(this.#life, name, options);
  }

  /**
   * Makes a pseudo terminal, with a program on its other side if one is asked for, or takes it back with everything that is
   * in it: the shell and its jobs, what is written and not read, settings and size.
   *
   * The program leads a session of its own. What it writes is handed to `data` from `ready()` on; during an update it waits in
   * the kernel, and when there is no room for more, the program waits. In a build that takes over, a program that is new is
   * started at the commit. See pty(7).
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options how a new one is made, and what is done with what comes out of it
   * @throws {LuoError} `EEXIST` name in use or of another kind, `EINVAL` a bad name
   * @throws {SysError} `ENOENT` no such program or directory, `ENOTDIR`; `EACCES` not executable; `ENOSPC` as many terminals as
   * `kernel.pty.max` allows; `EAGAIN`, `EMFILE`
   * @throws {RangeError} a size that is none
   * @throws {TypeError} a command, an environment or a directory that cannot be one
   */
  async terminal(name: string, options: TerminalOptions = {}): Promise<LiveTerminal> {
    const { openTerminal } = await import("./kinds/open_terminal.ts");
    return await openTerminal(this.#life, name, options);
  }

  /**
   * Takes back the timer of that name, or makes one that is not set: it runs on in the kernel, to the nanosecond, whichever
   * build is there (timerfd_create(2)). What expires during an update is told when the next build is ready.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options its clock, and what is done when it expires
   * @returns the timer; `isNew` and `running` say whether it has to be set
   * @throws {LuoError} `EEXIST` name in use, of another kind, or handed over with another clock; `EINVAL` bad name
   * @throws {RangeError} a clock that is none
   * @throws {SysError} `EMFILE`, `ENFILE`
   */
  async timer(name: string, options: LiveTimerOptions = {}): Promise<LiveTimer> {
    const { openTimer } = await import("./kinds/timer.ts");
    return await openTimer(this.#life, name, options);
  }

  /**
   * Takes back the watches of that name, or makes room for some: over files and directories, through updates (inotify(7)).
   * What happens during an update is told by the next build, once.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options what is done with events
   * @returns the watches; nothing is told before `ready()`
   * @throws {LuoError} `EEXIST` name in use, or of another kind; `EINVAL` a bad name
   * @throws {SysError} `EMFILE`, also at the user's limit of inotifies
   */
  async watch(name: string, options: WatchOptions = {}): Promise<LiveWatch> {
    const { openWatch } = await import("./kinds/watch.ts");
    return await openWatch(this.#life, name, options);
  }
}
