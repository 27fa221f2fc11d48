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
import type { LiveEventfd, LiveEventfdOptions } from "./kinds/eventfd.ts";
import type { LiveTimer, LiveTimerOptions } from "./kinds/timer.ts";
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
}
