/**
 * Which resources LUO holds, over all sessions and both directions: nothing is preserved twice.
 *
 * A handler says what makes two descriptors one resource (`getId`: the inode of a memfd); without it, it is the open
 * file description, so that two separate opens of one file may both cross.
 *
 * @module
 */
import { compareOpenFiles, fstat, sameOpenFile } from "../sys/mod.ts";
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
  readonly #expected = new Set<Expected>();
  /** How many are held whose key alone does not say what they are. */
  #openFiles = 0;

  /**
   * Takes note of a resource.
   *
   * @param handler the handler that carries it
   * @param fd a descriptor of it that stays open while it is held
   * @returns what {@linkcode delete} wants back, or null when it is held already
   */
  insert(handler: FileHandler, fd: number): Identity | null {
    const identity = identityOf(handler, fd);
    if (!identity.exact) this.#meet();
    return this.#insert(identity);
  }

  #insert(identity: Identity): Identity | null {
    const same = this.#held.get(identity.key);
    const at = same === undefined ? null : search(same, identity);
    if (same === undefined || at === null) this.#held.set(identity.key, [identity]);
    else if (at.found !== null) return null;
    else same.splice(at.before, 0, identity);
    if (!identity.exact) this.#openFiles++;
    return identity;
  }

  /**
   * Finds a held resource.
   *
   * @param handler the handler that carries it
   * @param fd any descriptor of it
   * @returns what {@linkcode insert} gave, or null when it is not held
   */
  find(handler: FileHandler, fd: number): Identity | null {
    return this.#findSame(identityOf(handler, fd));
  }

  /**
   * Finds a held resource by its open file description, whoever carries it: no handler has to be asked.
   *
   * @param fd any descriptor of it
   * @returns what {@linkcode insert} gave, or null when it is not held, or has an identity of its handler's making
   */
  findOpenFile(fd: number): Identity | null {
    return this.#findSame(openFileOf(fd));
  }

  /**
   * Takes note of a resource that was handed over. As long as there are only such, none can be another one's, and they are
   * looked at when somebody asks: most are forgotten before that. A handler that has a say in it is asked at once, as the
   * kernel asks.
   *
   * @param handler the handler that carries it
   * @param fd a descriptor of it that stays open while it is held
   * @returns what {@linkcode delete} wants back
   */
  expect(handler: FileHandler, fd: number): Expected {
    const expected: Expected = { handler, fd, identity: null };
    if (handler.getId === undefined && this.#openFiles === 0) this.#expected.add(expected);
    else expected.identity = this.#insert(identityOf(handler, fd));
    return expected;
  }

  /** Forgets a resource. */
  delete(known: Identity | Expected): void {
    const identity = "handler" in known ? known.identity : known;
    if ("handler" in known) this.#expected.delete(known);
    if (identity === null) return;
    const all = this.#held.get(identity.key) ?? [];
    const rest = all.filter((other) => other !== identity);
    if (rest.length < all.length && !identity.exact) this.#openFiles--;
    if (rest.length > 0) this.#held.set(identity.key, rest);
    else this.#held.delete(identity.key);
  }

  /** Somebody asks: now it matters what was handed over. */
  #meet(): void {
    const all = [...this.#expected];
    this.#expected.clear();
    for (const one of all) {
      try {
        one.identity = this.#insert(openFileOf(one.fd));
      } catch {
        // It was closed behind our back. Whoever asks now asks for another one.
      }
    }
  }

  #findSame(identity: Identity): Identity | null {
    if (!identity.exact) this.#meet();
    const same = this.#held.get(identity.key);
    return same === undefined ? null : search(same, identity).found;
  }
}

/** What was handed over, while nobody has asked for it. */
export interface Expected {
  /** The handler that carries it. */
  readonly handler: FileHandler;
  /** A descriptor of it, borrowed while it is held. */
  readonly fd: number;
  /** What was noted when somebody asked; null before that, and where it was noted already. */
  identity: Identity | null;
}

/**
 * Looks for a resource among those of one inode. There is one of nearly every file; but anonymous inodes share one, and an
 * application may have thousands of them. So they are kept in the order that the kernel gives them, where it does.
 *
 * @param same those that are held, in that order
 * @param wanted the resource
 * @returns the one that is the same, or null and the place before which it belongs
 */
function search(same: readonly Identity[], wanted: Identity): { found: Identity | null; before: number } {
  let [low, high] = [0, same.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = same[middle]!;
    const order = wanted.exact || other.exact ? 0 : compareOpenFiles(wanted.fd, other.fd);
    if (order === null) return { found: compareEach(same, wanted), before: same.length };
    if (order === 0) return { found: other, before: middle };
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return { found: null, before: low };
}

function compareEach(same: readonly Identity[], wanted: Identity): Identity | null {
  return same.find((other) => sameOpenFile(other.fd, wanted.fd)) ?? null;
}

function identityOf(handler: FileHandler, fd: number): Identity {
  if (handler.getId !== undefined) return { key: `id:${handler.getId({ fd })}`, fd, exact: true };
  return openFileOf(fd);
}

function openFileOf(fd: number): Identity {
  const { dev, ino } = fstat(fd);
  return { key: `file:${dev}:${ino}`, fd, exact: false };
}
