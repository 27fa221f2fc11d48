/**
 * What a scenario has open: variables with descriptors, as a process has them.
 *
 * A session and the device of the API are objects, and a descriptor of the kernel is a reference to one. So each thing is
 * counted here: a duplicate, a forked child and a message under way refer to it too, and with its last reference it is
 * closed. {@linkcode World.fork} gives what a forked child has.
 *
 * Happy path: `bind` what a step opened to its variable, `find` it for later steps, `close` it; `end` closes everything.
 *
 * Unhappy path: a variable that is not set is a bad descriptor: `SysError` with code EBADF.
 *
 * @module
 */
import type { Device } from "../../mod.ts";
import type { Session } from "../../luo/session.ts";
import { ERRNO, type OwnedFd, SysError } from "../../sys/mod.ts";
import { unmap } from "./_calls.ts";
import { ScenarioError } from "./_scenario.ts";

/** What a descriptor refers to. */
export type Thing =
  | { kind: "device"; device: Device }
  | { kind: "session"; session: Session }
  | { kind: "file"; fd: OwnedFd; named: boolean };

/** The kinds of things. */
export type ThingKind = Thing["kind"];

/** The lowest number that a scenario's descriptors get in the kernel: 0 to 2 are the probe's own. */
const FIRST_NUMBER = 3;

/** A thing and how often it is referred to. */
export class Shared {
  readonly thing: Thing;
  #references = 1;
  readonly #carried: Shared[] = [];

  /** @param thing what is opened; this is its first reference */
  constructor(thing: Thing) {
    this.thing = thing;
  }

  /** One reference more. */
  acquire(): this {
    this.#references++;
    return this;
  }

  /** A message to this socket carries a reference to another thing, until the socket is closed. */
  carry(other: Shared): void {
    this.#carried.push(other.acquire());
  }

  /** One reference less; the last one closes the thing. */
  release(): void {
    if (--this.#references > 0) return;
    const { thing } = this;
    if (thing.kind === "device") thing.device[Symbol.dispose]();
    else if (thing.kind === "session") thing.session[Symbol.dispose]();
    else thing.fd[Symbol.dispose]();
    for (const other of this.#carried) other.release();
  }
}

interface Slot {
  shared: Shared;
  /** The number that the kernel would have given it. */
  number: number;
}

interface Mapped {
  address: Deno.PointerObject;
  length: number;
  inode: string;
}

/** The descriptors of a process. */
export class World {
  /** Limit of descriptor numbers, or null for none. */
  limit: number | null = null;
  /** The mappings, by the variable that was mapped. */
  readonly mapped = new Map<string, Mapped>();
  readonly #slots = new Map<string, Slot>();
  /** Descriptors without a variable: it was given to another one meanwhile. */
  readonly #nameless: Slot[] = [];
  readonly #numbers = new Set<number>();
  readonly #holders = new Map<string, World>();

  /** A descriptor by its variable, or null where it is not set. */
  peek(name: string): Thing | null {
    return this.#slots.get(name)?.shared.thing ?? null;
  }

  /** A descriptor by its number in the kernel, or null. */
  numbered(number: number): Thing | null {
    return this.#all().find((slot) => slot.number === number)?.shared.thing ?? null;
  }

  /** What a variable refers to. */
  shared(name: string): Shared {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new SysError("use", ERRNO.EBADF, `"${name}"`);
    return slot.shared;
  }

  /** The device behind a variable. */
  device(name: string): Device {
    const { thing } = this.shared(name);
    if (thing.kind === "device") return thing.device;
    throw new ScenarioError(`"${name}" is no device`);
  }

  /** The session behind a variable. */
  session(name: string): Session {
    const { thing } = this.shared(name);
    if (thing.kind === "session") return thing.session;
    throw new ScenarioError(`"${name}" is no session`);
  }

  /** The descriptor of the file behind a variable, borrowed. */
  file(name: string): number {
    const { thing } = this.shared(name);
    if (thing.kind === "file") return thing.fd.fd;
    throw new ScenarioError(`"${name}" is no file`);
  }

  /** Gives a variable what was opened. What it referred to stays open, as in a C program. */
  bind(name: string | null, shared: Shared): void {
    const before = name === null ? undefined : this.#slots.get(name);
    if (before !== undefined) this.#nameless.push(before);
    const slot = { shared, number: this.#free().next().value ?? FIRST_NUMBER };
    this.#numbers.add(slot.number);
    if (name === null) this.#nameless.push(slot);
    else this.#slots.set(name, slot);
  }

  /** Closes a variable. */
  close(name: string): void {
    const shared = this.shared(name);
    this.#numbers.delete(this.#slots.get(name)?.number ?? 0);
    this.#slots.delete(name);
    shared.release();
  }

  /** How many more descriptors the limit allows; null for any number. */
  room(): number | null {
    if (this.limit === null) return null;
    let room = 0;
    for (const number of this.#free()) {
      if (number >= this.limit) break;
      room++;
    }
    return room;
  }

  /** What a forked child has: a reference more to everything. */
  fork(): World {
    const child = new World();
    child.limit = this.limit;
    for (const [name, { shared, number }] of this.#slots) {
      child.#slots.set(name, { shared: shared.acquire(), number });
    }
    for (const { shared, number } of this.#nameless) {
      child.#nameless.push({ shared: shared.acquire(), number });
    }
    for (const number of this.#numbers) child.#numbers.add(number);
    for (const [name, mapping] of this.mapped) child.mapped.set(name, mapping);
    return child;
  }

  /** Keeps a forked child that holds everything. */
  hold(name: string): void {
    this.#holders.set(name, this.fork());
  }

  /** Ends a forked child. */
  letGo(name: string): void {
    const holder = this.#holders.get(name);
    if (holder === undefined) throw new SysError("release", ERRNO.ESRCH, `"${name}"`);
    this.#holders.delete(name);
    holder.end();
  }

  /** Closes everything, as the end of a process does. */
  end(): void {
    for (const { shared } of this.#all()) shared.release();
    this.#slots.clear();
    this.#nameless.length = 0;
    this.#numbers.clear();
    for (const holder of this.#holders.values()) holder.end();
    this.#holders.clear();
  }

  /** Ends the scenario: mappings belong to it, not to a forked child. */
  endAll(): void {
    this.end();
    for (const { address, length } of this.mapped.values()) unmap(address, length);
    this.mapped.clear();
  }

  #all(): Slot[] {
    return [...this.#slots.values(), ...this.#nameless].sort((a, b) => a.number - b.number);
  }

  *#free(): Generator<number, undefined> {
    for (let number = FIRST_NUMBER;; number++) {
      if (!this.#numbers.has(number)) yield number;
    }
  }
}
