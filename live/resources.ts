/**
 * The names of an application and the descriptors behind them: one table for what this image has, one for what was
 * handed over and not claimed yet. The two never share an entry.
 *
 * Happy path: a name is claimed (it was handed over) or added (it is new). Every resource is preserved in the outgoing
 * session `heirloom`: a new one at once, a claimed one under its old token when the application is ready.
 *
 * Unhappy paths: a name that is in use, or was handed over for another kind, is `EEXIST`; a descriptor that no handler
 * accepts is `ENOENT` at once, not at the next update.
 *
 * @module
 */
import type { ConnectionRecord } from "../kho/abi/connections.ts";
import type { NameRecord } from "../kho/abi/live.ts";
import { LuoError } from "../luo/errors.ts";
import { orchestrator } from "../luo/process.ts";
import type { Session } from "../luo/session.ts";
import { takeStreams } from "../handlers/streams.ts";
import { articled, isOpenFd, type OwnedFd, refusalOf } from "../sys/mod.ts";
import type { Taken } from "./http/connections.ts";
import { Kept } from "./kept.ts";
import { checkResourceName, type ResourceKind } from "./resource_name.ts";

interface Resource {
  name: string;
  kind: ResourceKind;
  token: bigint;
  /** Borrowed from whoever added it, until it is dropped. */
  fd: number;
  preserved: boolean;
}

/** The resources of an application. */
export class Resources {
  readonly #live = new Map<string, Resource>();
  readonly #unclaimed = new Map<string, NameRecord>();
  readonly #incoming: Session | null;
  readonly #outgoing: Session | null;
  /** What is only carried on. */
  readonly kept: Kept = new Kept();
  readonly #about = new Map<string, ConnectionRecord>();
  #next = 1n;

  /**
   * @param incoming the session that was handed over, or null
   * @param names what it holds
   * @param outgoing the session to preserve in, or null where live update is off
   * @param about what crossed with connections beside their descriptors
   */
  constructor(
    incoming: Session | null,
    names: NameRecord[],
    outgoing: Session | null,
    about: readonly ConnectionRecord[] = [],
  ) {
    for (const record of about) this.#about.set(record.name, record);
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    for (const record of names) {
      this.#unclaimed.set(record.name, record);
      if (record.token >= this.#next) this.#next = record.token + 1n;
    }
  }

  /**
   * Takes back what was handed over under a name.
   *
   * @returns the descriptor, the caller's, or null when nothing of that name was handed over
   * @throws {LuoError} `EEXIST` when the name is in use or stands for another kind; `EINVAL` for a bad name
   */
  claim(name: string, kind: ResourceKind): OwnedFd | null {
    this.#check(name, kind);
    const record = this.#unclaimed.get(name);
    if (record === undefined || this.#incoming === null) return null;
    if (record.kind !== kind) {
      throw new LuoError(
        "EEXIST",
        `Cannot take "${name}" as ${articled(kind)}: it was handed over as ${articled(record.kind)}`,
      );
    }
    const fd = this.#incoming.retrieveFd(record.token);
    this.#unclaimed.delete(name);
    this.#live.set(name, { name, kind, token: record.token, fd: fd.fd, preserved: false });
    return fd;
  }

  /** The inverse of {@linkcode claim}: what was handed over waits to be claimed again. The caller closes its descriptor. */
  unclaim(name: string): void {
    const resource = this.#live.get(name);
    if (resource === undefined || resource.preserved) return;
    this.#live.delete(name);
    this.#unclaimed.set(name, { name, token: resource.token, kind: resource.kind });
  }

  /**
   * Takes back all connections of a server. Their names are free again: the next update gives them new ones.
   *
   * @param server its name
   * @returns the connections, the caller's
   */
  claimConnections(server: string): Taken[] {
    const prefix = `${server}#`;
    const records = [...this.#unclaimed.values()].filter(({ name }) => name.startsWith(prefix));
    return records.flatMap(({ name, kind }) => {
      if (kind !== "connection" && kind !== "connections") return [];
      const fd = this.claim(name, kind);
      this.drop(name);
      if (fd === null) return [];
      if (kind === "connection") return [{ fd, about: this.#about.get(name) ?? null }];
      using list = fd;
      return takeStreams(list).map((fd, index) => ({
        fd,
        about: this.#about.get(`${prefix}${index + 1}`) ?? null,
      }));
    });
  }

  /** What crossed with the connections of a server, which a check may read but not take. */
  aboutConnections(server: string): ConnectionRecord[] {
    return [...this.#about.values()].filter(({ name }) => name.startsWith(`${server}#`));
  }

  /**
   * Adds a connection, or a list of connections, that crosses now.
   *
   * @param name its name, as `server#3`
   * @param kind what it stands for
   * @param fd its descriptor; the handover's from here on, also when this fails
   * @throws {LuoError} `EEXIST` name in use, `ENOENT` no handler accepts the descriptor
   */
  give(name: string, kind: "connection" | "connections", fd: OwnedFd): void {
    using undo = new DisposableStack();
    undo.use(fd);
    this.#check(name, kind);
    const token = this.#next++;
    undo.move();
    this.#outgoing?.givePreserved(fd, token);
    this.#live.set(name, { name, kind, token, fd: -1, preserved: true });
  }

  /**
   * Adds a new resource. The descriptor stays the caller's, who keeps it open until {@linkcode drop}.
   *
   * @throws {LuoError} `EEXIST` name in use, `ENOENT` no handler accepts the descriptor, `EINVAL` bad name
   */
  add(name: string, kind: ResourceKind, fd: number): void {
    this.#check(name, kind);
    // With live update on, preserving answers the same, and a server has thousands of connections.
    if (this.#outgoing === null && orchestrator().registry.find(fd) === undefined) {
      throw new LuoError("ENOENT", `Cannot preserve "${name}": no handler accepts ${refusalOf(fd)}`);
    }
    const resource: Resource = { name, kind, token: this.#next++, fd, preserved: false };
    this.#preserve(resource);
    this.#live.set(name, resource);
  }

  /**
   * Takes a name for something that is not preserved: in a check, nothing is.
   *
   * @throws {LuoError} `EEXIST` name in use, `EINVAL` bad name
   */
  reserve(name: string, kind: ResourceKind): void {
    this.#check(name, kind);
    this.#live.set(name, { name, kind, token: this.#next++, fd: -1, preserved: true });
  }

  /** Forgets a resource; the caller closes its descriptor. Silent where there is none. */
  drop(name: string): void {
    const resource = this.#live.get(name);
    if (resource === undefined) return;
    if (resource.preserved) this.#outgoing?.unpreserveFd(resource.token);
    this.#live.delete(name);
  }

  /**
   * Carries on a name that this build does not claim.
   *
   * @returns whether something of that name waits to be claimed
   */
  keep(name: string): boolean {
    const names = [...this.#unclaimed.values()].filter((record) =>
      record.name === name || record.name.startsWith(`${name}#`)
    );
    for (const { name, kind } of names) {
      const fd = this.claim(name, kind as ResourceKind);
      if (fd === null) continue;
      if (kind === "connections") this.#keepEach(name, fd);
      else this.kept.hold(fd, this.#about.get(name));
    }
    return names.length > 0;
  }

  /** What was handed over and nobody claimed. */
  unclaimed(): NameRecord[] {
    return [...this.#unclaimed.values()];
  }

  /** The update is committed: what nobody claimed is gone. */
  forgetUnclaimed(): void {
    this.#unclaimed.clear();
  }

  /** The name behind a token of session `heirloom`, or null. */
  nameOf(token: bigint): string | null {
    const is = (record: { token: bigint }): boolean => record.token === token;
    return (this.#live.values().find(is) ?? this.#unclaimed.values().find(is))?.name ?? null;
  }

  /** The application's own descriptor of what is behind a token, borrowed; null where this build has none. */
  fdOf(token: bigint): number | null {
    const { fd = -1 } = this.#live.values().find((resource) => resource.token === token) ?? {};
    return fd < 0 ? null : fd;
  }

  /** The map of names, as the next image will read it. */
  names(): NameRecord[] {
    return [...this.#live.values()].map(({ name, kind, token }) => ({ name, kind, token }));
  }

  /**
   * The application is ready: what was claimed is preserved anew, which it could not be while it counted as handed over.
   *
   * @throws {LuoError} the first of what handlers answered; the others are preserved all the same
   */
  start(): void {
    const errors: unknown[] = [];
    for (const resource of this.#live.values()) {
      try {
        this.#preserve(resource);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  /**
   * Preserves anew what is not behind its number any more: somebody closed or replaced the duplicate that is held.
   *
   * @param isIntact does this number still lead to what was preserved?
   * @param broken the token of one that its handler did not find to be what it was; null if there is none
   */
  mend(isIntact: (fd: number) => boolean, broken: bigint | null): void {
    const held = new Map(this.#outgoing?.files().map((file) => [file.token, file]));
    for (const resource of this.#live.values()) {
      const { fd, compatible } = held.get(resource.token) ?? {};
      if (!resource.preserved || typeof fd !== "number") continue;
      if (resource.token !== broken && isIntact(fd) && isAccepted(compatible, fd)) continue;
      resource.preserved = false;
      try {
        this.#outgoing?.unpreserveFd(resource.token);
      } catch {
        // It is gone, and so is its number; what is left is to hold another one.
      }
      this.#preserve(resource);
    }
  }

  /** A list names descriptors of the handover, which end with it: what is kept needs its own. */
  #keepEach(name: string, fd: OwnedFd): void {
    using list = fd;
    this.drop(name);
    const prefix = name.slice(0, name.indexOf("#") + 1);
    takeStreams(list).forEach((connection, index) => {
      const token = this.#next++;
      const own = `${prefix}kept-${token}`;
      this.#live.set(own, { name: own, kind: "connection", token, fd: connection.fd, preserved: false });
      const about = this.#about.get(`${prefix}${index + 1}`);
      this.kept.hold(connection, about === undefined ? undefined : { ...about, name: own });
    });
  }

  #preserve(resource: Resource): void {
    if (this.#outgoing === null || resource.preserved) return;
    this.#outgoing.preserveFd(resource.fd, resource.token);
    resource.preserved = true;
  }

  /**
   * Is this a name that an application may use, and that is free?
   *
   * @throws {LuoError} `EEXIST`, `EINVAL`
   */
  checkName(name: string): void {
    this.#check(name, "descriptor");
  }

  #check(name: string, kind: ResourceKind): void {
    checkResourceName(name, kind);
    if (this.#live.has(name)) {
      throw new LuoError("EEXIST", `Cannot take "${name}" as ${articled(kind)}: it is in use`);
    }
  }
}

/** Not all handlers let a descriptor cross, which would be looked at: an epoll is made anew from its record. */
function isAccepted(compatible: string | undefined, fd: number): boolean {
  const handler = compatible === undefined ? undefined : orchestrator().registry.get(compatible);
  return handler === undefined || (isOpenFd(fd) && handler.canPreserve({ fd }));
}
