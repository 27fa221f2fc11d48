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
import type { SharedMemory, ShmOptions } from "./kinds/shm.ts";
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
}
