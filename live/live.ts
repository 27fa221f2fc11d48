/**
 * What an application gets from `open()`: its resources by name, and its part in an update.
 *
 * Happy path: take or create resources by name, then `ready()`. In the next build the same calls give the same resources
 * back, and `ready()` commits the update.
 *
 * Unhappy paths: see the methods. Until `ready()` has committed, whatever goes wrong in a new build brings the previous
 * one back.
 *
 * @module
 */
import { createServer } from "node:http";
import type { Server as NetServer } from "node:net";

import type { StatusReport, UpdateRecord, UpgradeRequest } from "../control/types.ts";
import type { Device } from "../luo/device.ts";
import { LuoError } from "../luo/errors.ts";
import { createMemfd, fstat, type OwnedFd } from "../sys/mod.ts";
import { type ServerAddress, serverAddressOf } from "./address.ts";
import { checkedPath, checkRegular, LiveFile, type LiveFileOptions, openLiveFile } from "./file.ts";
import type { HookListeners } from "./hooks.ts";
import { type FetchHandler, requestListener } from "./http/fetch_bridge.ts";
import { connectionsOf, uncarriedOf } from "./http/server_connections.ts";
import { upgradeListener, UPGRADING } from "./http/upgrade_bridge.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { LiveConversations } from "./live_conversations.ts";
import { type CarryOptions, Port, type ServerHandle } from "./port.ts";
import { checkMemory, checkSize, manage, type SegmentOptions, SharedSegment } from "./segment.ts";
import type { StateOptions } from "./states.ts";
import { take, takeListener } from "./take.ts";
import { takeover } from "./takeover.ts";

/** An application under live update. */
export class Live extends LiveConversations {
  readonly #life: Lifecycle;
  readonly #carried = new WeakSet<NetServer>();

  /** For `open()` only. */
  constructor(life: Lifecycle) {
    super(life);
    this.#life = life;
  }

  /** How many updates the service has committed: 0 on a cold start. */
  get generation(): number {
    return this.#life.generation();
  }

  /** Is this only the check of a build, which must not touch anything real? */
  get checking(): boolean {
    return takeover.check !== null;
  }

  /**
   * The open device, for sessions of the application's own; the session name `heirloom` is reserved.
   *
   * @throws {LuoError} `EOPNOTSUPP` where live update is off
   */
  get device(): Device {
    if (this.#life.device === null) {
      throw new LuoError("EOPNOTSUPP", "Cannot use the device: live update is off");
    }
    this.#life.finishReady();
    return this.#life.device;
  }

  /**
   * Takes back the shared memory of that name, or creates it, filled with zeros. Other processes get at it by its
   * descriptor; memory that they open by a name is {@linkcode LiveResources.shm}.
   *
   * Memory is used page by page as it is touched; only huge pages are promised at once.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options its size in bytes, and its pages
   * @throws {LuoError} `EEXIST` name in use, or handed over as another kind or on other pages; `EINVAL` bad name; `EPERM` sealed
   * against writing, or growing; `ENODEV` no huge pages of that size on this machine, `ENOMEM` too few of them
   * @throws {RangeError} a size that is no positive safe integer, or no multiple of the huge page
   * @throws {SysError} `ENOMEM` no room for the addresses, `EMFILE`, `EFBIG` beyond `RLIMIT_FSIZE`
   */
  async segment(name: string, options: SegmentOptions): Promise<SharedSegment> {
    const { size, hugePages } = options;
    checkSize(`segment "${name}"`, size);
    const huge = hugePages === undefined
      ? null
      : (await import("./kinds/huge_pages.ts")).hugeMemory(name, size, hugePages);
    const create = (): OwnedFd => createMemfd(`heirloom:${name}`, { size });
    let handed = false;
    const fd = await take(
      this.#life.resources,
      name,
      "segment",
      huge?.create ?? create,
      (handed) => {
        if (!handed) huge?.check(size);
        return create();
      },
      (memory, taken) => {
        handed = taken;
        if (!taken) return;
        checkMemory(name, memory.fd, size, huge?.pageBytes ?? null);
        huge?.check(size - fstat(memory.fd).size);
      },
    );
    return manage(
      this.#life,
      { name, fd },
      handed,
      (drop) => new SharedSegment(name, fd, size, drop),
    );
  }

  /**
   * Takes back the open file of that name, or opens it.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param path what is opened when nothing was handed over
   * @param options how it is opened
   * @throws {LuoError} `EEXIST`, `EINVAL`, `ENOENT` when the path is no regular file
   * @throws {SysError} what open(2) answers
   */
  async file(name: string, path: string, options: LiveFileOptions = {}): Promise<LiveFile> {
    let shown = path;
    const file = await take(
      this.#life.resources,
      name,
      "file",
      () => openLiveFile(path, options),
      (handed) => {
        shown = checkedPath(path, options, handed);
        return openLiveFile(shown, options);
      },
      (file) => checkRegular(name, file.fd),
    );
    return new LiveFile(name, shown, options, file, (fd) => {
      if (fd !== null && !this.checking) checkRegular(name, fd);
      this.#life.resources.drop(name);
      if (fd !== null && !this.checking) this.#life.resources.add(name, "file", fd);
    });
  }

  /**
   * Declares a value that the application saves at an update and loads after it. What was handed over is loaded before
   * this returns.
   *
   * @param name 1 to 63 bytes
   * @param options versions, and how it is saved and loaded
   * @throws {LuoError} `EEXIST`, `EINVAL`, `EOPNOTSUPP` for a version that this build does not read
   * @throws whatever `load` throws
   */
  state(name: string, options: StateOptions): void {
    if (takeover.check !== null) takeover.check.state(this.#life.states, name, options);
    else this.#life.states.add(name, options);
  }

  /**
   * Serves HTTP with a web-standard handler, on a listening socket that survives updates with its connections.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param address where to listen; a socket of that name and address that was handed over is taken back
   * @param handler answers a request, like that of `Deno.serve`
   * @param options what an update does with its connections
   * @throws {LuoError} `EEXIST`, `EINVAL`
   * @throws {SysError} `EADDRINUSE` and what else bind(2) answers
   */
  async serve(
    name: string,
    address: ServerAddress,
    handler: FetchHandler,
    options: CarryOptions = {},
  ): Promise<ServerHandle> {
    const server = createServer(UPGRADING, requestListener(handler));
    server.on("upgrade", upgradeListener(handler));
    return await this.server(name, server, address, options);
  }

  /**
   * Carries a server of `node:http` or `node:net` that does not listen yet; do not call its `listen`.
   *
   * Connections of an HTTP server are carried when they owe no answer. A server of `node:net` speaks a protocol that
   * nobody knows here: its connections are carried once everything that was written is with the kernel, and the new build
   * gets each as a new connection. What the application has read and not dealt with is its own to save. Of a TLS server the
   * listening socket is carried: its connections are ended politely, or refuse the update.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param server the server
   * @param address where to listen
   * @param options what an update does with its connections
   * @throws {LuoError} `EEXIST`, `EINVAL`, `EOPNOTSUPP` for a TLS server whose connections shall be carried
   * @throws {SysError} `EADDRINUSE` and what else bind(2) answers
   */
  async server(
    name: string,
    server: NetServer,
    address: ServerAddress,
    options: CarryOptions = {},
  ): Promise<ServerHandle> {
    const uncarried = await uncarriedOf(name, server, options.connections);
    if (this.#carried.has(server)) {
      throw new LuoError("EEXIST", `Cannot carry server "${name}": it is carried already`);
    }
    if (server.listening) throw new LuoError("EINVAL", `Cannot carry server "${name}": it listens already`);
    this.#carried.add(server);
    const listener = await takeListener(this.#life.resources, name, address);
    if (this.checking) {
      listener[Symbol.dispose]();
      return { address, connections: 0 };
    }
    const connections = connectionsOf(server, uncarried);
    const handed = this.#life.resources.claimConnections(name);
    const port = new Port(name, server, listener, connections, handed, {
      overdue: options.overdue ?? "refuse",
    });
    this.#life.addPort(port);
    return {
      get address() {
        return serverAddressOf(port.address);
      },
      get connections() {
        return port.size;
      },
    };
  }

  /**
   * Carries on what was handed over under a name that this build does not use.
   *
   * @param name a resource or a state
   * @returns whether something of that name was handed over
   */
  keep(name: string): boolean {
    const resource = this.#life.resources.keep(name);
    const version = this.#life.states.versionOf(name);
    const state = this.#life.states.keep(name);
    if (state) takeover.check?.kept(name, version);
    return resource || state;
  }

  /**
   * Says that the application can serve: taps open, and in a new build the update is committed. Names that were handed
   * over and not claimed are dropped. May be called without waiting for it, and more than once.
   *
   * @throws {LuoError} `EBUSY` when a handler is not done; it may be tried again until the deadline
   */
  async ready(): Promise<void> {
    const { check } = takeover;
    if (check !== null) return await check.report(this.#life.resources, this.#life.states);
    await this.#life.ready();
  }

  /**
   * Gives this build up: the previous one comes back. Before `ready()` only.
   *
   * @param reason why, for the record
   * @throws {LuoError} `EINVAL` when there is no previous build to go back to
   */
  abandon(reason: string): never {
    const { check, probation } = takeover;
    if (check !== null) return check.fail(`it abandoned: ${reason}`);
    if (!probation?.armed) {
      throw new LuoError("EINVAL", "Cannot abandon: this build did not take over, or is committed");
    }
    return probation.giveUp(`it abandoned: ${reason}`);
  }

  /**
   * Starts an update.
   *
   * @param request which build, which runtime, how long; the present names, resolved anew, if absent
   * @returns the record, only if the update was refused: otherwise this program does not go on
   * @throws {LuoError} `EBUSY` not ready yet, or an update is under way; `EOPNOTSUPP` live update is off
   */
  async upgrade(request: UpgradeRequest = {}): Promise<UpdateRecord> {
    const { refused } = await this.#life.upgrade(request);
    return await refused;
  }

  /** What the service is doing: what `heirloom status --json` shows. */
  async status(): Promise<StatusReport> {
    return await this.#life.status();
  }

  /** Listens for `quiesce`, before an update, or `resume`, after one that was refused. */
  on<K extends keyof HookListeners>(event: K, listener: HookListeners[K]): void {
    this.#life.hooks.on(event, listener);
  }

  /** Gives everything up. For tests: a service never closes. */
  close(): void {
    this.#life.close();
  }
}
