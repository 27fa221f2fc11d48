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
import type { LiveTerminal, TerminalOptions } from "./kinds/terminal.ts";
import { take } from "./take.ts";
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
   * @throws {SysError} `ENOENT` no such program, `ENOSPC` as many terminals as `kernel.pty.max` allows, `EACCES`, `EAGAIN`,
   * `EMFILE`
   * @throws {RangeError} a size that is none
   * @throws {TypeError} a command without a name, or a text with a NUL
   */
  async terminal(name: string, options: TerminalOptions = {}): Promise<LiveTerminal> {
    const { openTerminal } = await import("./kinds/open_terminal.ts");
    return await openTerminal(this.#life, name, options);
  }
}
