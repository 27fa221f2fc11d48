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
import type { EpollOptions, LiveEpoll } from "./kinds/epoll.ts";
import type { LiveWatch, WatchOptions } from "./kinds/watch.ts";
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
