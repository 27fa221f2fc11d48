/**
 * Which resources LUO holds, over all sessions and both directions: nothing is preserved twice.
 *
 * A handler says what makes two descriptors one resource (`getId`: the inode of a memfd); without it, it is the open
 * file description, so that two separate opens of one file may both cross.
 *
 * @module
 */
import { fstat, sameOpenFile } from "../sys/mod.ts";
import { LuoError } from "./errors.ts";
import type { FileHandler } from "./handler.ts";

/** One held resource. */
export interface Identity {
  /** Groups what can be equal at all. */
  readonly key: string;
  /** A descriptor of it, borrowed while it is held. */
  readonly fd: number;
  /** Is the key alone the identity? */
  readonly exact: boolean;
}

/** All held resources. */
export class Identities {
  readonly #held = new Map<string, Identity[]>();

  /**
   * Takes note of a resource.
   *
   * @param handler the handler that carries it
   * @param fd a descriptor of it that stays open while it is held
   * @returns what {@linkcode delete} wants back
   * @throws {LuoError} `EBUSY` when it is held already
   */
  insert(handler: FileHandler, fd: number): Identity {
    const identity = identityOf(handler, fd);
    const same = this.#held.get(identity.key) ?? [];
    if (same.some((other) => identity.exact || other.exact || sameOpenFile(other.fd, fd))) {
      throw new LuoError("EBUSY", `Cannot preserve fd ${fd}: the same resource is held already`);
    }
    this.#held.set(identity.key, [...same, identity]);
    return identity;
  }

  /** Forgets a resource. */
  delete(identity: Identity): void {
    const rest = (this.#held.get(identity.key) ?? []).filter((other) => other !== identity);
    if (rest.length > 0) this.#held.set(identity.key, rest);
    else this.#held.delete(identity.key);
  }
}

function identityOf(handler: FileHandler, fd: number): Identity {
  if (handler.getId !== undefined) return { key: `id:${handler.getId({ fd })}`, fd, exact: true };
  const { dev, ino } = fstat(fd);
  return { key: `file:${dev}:${ino}`, fd, exact: false };
}
