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
import type { Lifecycle } from "./lifecycle.ts";
import { checkType } from "./inherit.ts";
import type { InheritOptions } from "./inherit.ts";
import { take } from "./take.ts";
import type { ChildOptions } from "./kinds/child.ts";
import type { LiveChild } from "./kinds/child_process.ts";
import type { OwnedFd } from "../sys/mod.ts";

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
   * such a descriptor; `EINVAL` a bad name, or `create` made another type
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
}
