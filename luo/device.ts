/**
 * The device: the one door to the sessions of a process, like `/dev/liveupdate`.
 *
 * Happy path: `Device.open()`, `createSession` or `retrieveSession`. Sessions outlive the device.
 *
 * Unhappy paths: a second opening while one is there is `EBUSY`; a handover that cannot be read is `EIO` at every
 * opening; with `HEIRLOOM=off` every call is `EOPNOTSUPP`.
 *
 * @module
 */
import { createMemfd, type OwnedFd, SysError } from "../sys/mod.ts";
import { LuoError } from "./errors.ts";
import type { Orchestrator, PreviousImage } from "./orchestrator.ts";
import { isSwitchedOff, orchestrator } from "./process.ts";
import type { Session } from "./session.ts";

/** An open device. */
export class Device implements Disposable {
  // One orchestrator has one door, whichever copy of this class made it.
  readonly #luo: Orchestrator;
  readonly #anchor: OwnedFd;

  private constructor(luo: Orchestrator, anchor: OwnedFd) {
    this.#luo = luo;
    this.#anchor = anchor;
  }

  /**
   * Opens the device.
   *
   * @param luo the orchestrator; that of the process if absent
   * @returns the device, which must be disposed before it can be opened again
   * @throws {LuoError} `EOPNOTSUPP` switched off, `EMFILE`, `EBUSY` open already, `EIO` the handover cannot be read
   */
  static open(luo: Orchestrator = orchestrator()): Device {
    if (isSwitchedOff()) throw new LuoError("EOPNOTSUPP", "Cannot open the device: HEIRLOOM=off");
    using undo = new DisposableStack();
    // As with open(2), the descriptor comes first: without one, nobody is asked whether the device is free.
    const anchor = undo.use(reserve("open the device", () => createMemfd("luo:device")));
    if (luo.deviceOpen) throw new LuoError("EBUSY", "Cannot open the device: it is open already");
    luo.deserialize();
    luo.deviceOpen = true;
    undo.move();
    return new Device(luo, anchor);
  }

  /** The liveupdate number: 0 on a cold start, +1 with each committed update. */
  get number(): bigint {
    return this.#luo.number;
  }

  /** What the image before says of itself, or null at a cold start. */
  get previous(): PreviousImage | null {
    return this.#luo.previous;
  }

  /**
   * Creates an outgoing session.
   *
   * @param name 1 to 63 bytes, unique among outgoing sessions
   * @throws {LuoError} `EBADF` device closed, `EMFILE`, `EINVAL` bad name, `EBUSY` while freezing, `EEXIST`, `ENOSPC`
   */
  createSession(name: string): Session {
    using undo = new DisposableStack();
    const session = this.#luo.create(name, undo.use(this.#reserve(`create session "${name}"`)));
    undo.move();
    return session;
  }

  /**
   * Takes back a session that was handed over.
   *
   * @param name the name it was created under
   * @throws {LuoError} `EBADF` device closed, `EMFILE`, `EBUSY` while freezing, `ENOENT` none arrived, `EINVAL` the
   * second time
   */
  retrieveSession(name: string): Session {
    using undo = new DisposableStack();
    const session = this.#luo.retrieve(name, undo.use(this.#reserve(`retrieve session "${name}"`)));
    undo.move();
    return session;
  }

  /** All sessions that exist, in both directions. The kernel has no such call. */
  sessions(): Session[] {
    return this.#luo.sessions();
  }

  /** Closes the device; its sessions stay. */
  [Symbol.dispose](): void {
    if (this.#anchor.disposed) return;
    this.#anchor[Symbol.dispose]();
    this.#luo.deviceOpen = false;
  }

  #reserve(action: string): OwnedFd {
    if (this.#anchor.disposed) throw new LuoError("EBADF", `Cannot ${action}: the device is closed`);
    return reserve(action, () => this.#anchor.dup());
  }
}

function reserve(action: string, make: () => OwnedFd): OwnedFd {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new LuoError(error.code, `Cannot ${action}: no descriptor is left (${error.code})`, {
      cause: error,
    });
  }
}
