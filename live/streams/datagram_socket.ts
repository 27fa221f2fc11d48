/**
 * A datagram socket that is carried: what waits in it crosses an update, with its senders.
 *
 * Happy path: until `ready()` the tap is closed: nothing is received, and what is sent waits. Then each datagram is handed
 * to the application, in the order in which the kernel has them. An update closes the tap, waits for the handlers that
 * have given a promise, and jumps: what arrives meanwhile waits in the socket for the new build.
 *
 * Unhappy paths:
 * 1. The receive buffer is full, or the network loses something: that is what datagrams are like. Nothing tells of it.
 * 2. The kernel does not take what is sent: {@linkcode DatagramSocket.send} answers false.
 * 3. A handler throws: an uncaught error, like one of an event listener. A handler that is not done at the deadline of the
 *    quiescing refuses the update, or is forgotten, as the application said.
 *
 * @module
 */
import {
  encodeSockaddr,
  getpeername,
  getsockname,
  type OwnedFd,
  type SocketAddress,
  SysError,
} from "../../sys/mod.ts";
import { dropErrors, isUnixSocket, receiveDatagram, sendDatagram } from "../../sys/network.ts";
import type { OverduePolicy } from "../port.ts";
import { Tap } from "./tap.ts";
import { type DatagramAddress, datagramAddressOf, socketAddressFrom } from "./datagram_address.ts";

/** Datagrams that are received in one turn of the event loop: others want to have theirs. */
const BATCH = 256;

/** Datagrams that wait for the tap to open. */
const MOST_EARLY = 1024;

/** What an application does with datagrams. */
export interface DatagramHandlers {
  /**
   * Called with each datagram. While a promise that it gives is not settled, an update waits.
   *
   * @param bytes the data, the application's; there may be none
   * @param from who sent it; null for a unix socket without an address, which cannot be answered
   * @param socket the socket, to answer
   */
  message(bytes: Uint8Array<ArrayBuffer>, from: DatagramAddress | null, socket: DatagramSocket): unknown;
  /**
   * Called with what the network has to say about something sent earlier, such as that nobody is there. Without it, that
   * is as if it had been lost.
   *
   * @param error what happened
   * @param socket the socket
   */
  error?(error: SysError, socket: DatagramSocket): void;
}

/** A carried datagram socket, as its application sees it. */
export interface DatagramSocket {
  /** Its own address: a port that was asked for as 0 is known here. */
  readonly address: DatagramAddress;
  /** Whom it is connected to, or null. */
  readonly peer: DatagramAddress | null;
  /** The descriptor, borrowed, for socket options; -1 in a check and after the end. */
  readonly fd: number;
  /**
   * Sends a datagram, whole or not at all. Before the application is ready it waits until then.
   *
   * @param bytes the data
   * @param to who is to get it; whom the socket is connected to, if absent
   * @returns true when the kernel has it; false when it was not sent: no room, no way, too large
   * @throws {TypeError} without `to`, if the socket is not connected
   * @throws {RangeError} an address that is none
   */
  send(bytes: Uint8Array, to?: DatagramAddress): boolean;
  /**
   * Gives the socket up; the path of a unix socket stays.
   *
   * @returns resolves when its address is free
   */
  close(): Promise<void>;
}

/** What a socket needs to know of its surroundings. */
export interface DatagramParts {
  /** Its name. */
  name: string;
  /** The address that was asked for. */
  address: DatagramAddress;
  /** The socket, owned from here on; null in a check, where nothing is real. */
  fd: OwnedFd | null;
  /** What the application does with datagrams. */
  handlers: DatagramHandlers;
  /** What happens to handlers that are late. */
  overdue: OverduePolicy;
  /** Makes the socket what this build wants it to be, just before the tap opens. */
  settle(fd: number): void;
  /** Forgets the socket. */
  drop(): void;
}

/** A carried datagram socket. */
export class DatagramPort extends Tap implements DatagramSocket {
  readonly #parts: DatagramParts;
  readonly #sized: boolean;
  #fd: OwnedFd | null;
  #early: [Uint8Array, DatagramAddress | undefined][] | null = [];
  #closed: Promise<void> | null = null;

  /** @param parts what it needs */
  constructor(parts: DatagramParts) {
    super(parts.name, parts.overdue);
    this.#parts = parts;
    this.#fd = parts.fd;
    this.#sized = parts.fd !== null && isUnixSocket(parts.fd.fd);
  }

  get fd(): number {
    return this.#fd?.fd ?? -1;
  }

  get address(): DatagramAddress {
    return (this.#fd === null ? null : datagramAddressOf(getsockname(this.fd))) ?? this.#parts.address;
  }

  get peer(): DatagramAddress | null {
    const peer = this.#fd === null ? null : getpeername(this.fd);
    return peer === null ? null : datagramAddressOf(peer);
  }

  send(bytes: Uint8Array, to?: DatagramAddress): boolean {
    const address = to === undefined ? null : socketAddressFrom(to);
    if (this.#early !== null && this.#closed === null) {
      // What is wrong with an address is said to who has given it.
      if (address !== null) encodeSockaddr(address);
      if (this.#fd === null || this.#early.length >= MOST_EARLY) return this.#fd === null;
      this.#early.push([bytes.slice(), to]);
      return true;
    }
    if (this.#fd === null) return false;
    const first = this.#try(bytes, address);
    if (!(first instanceof SysError)) return first;
    // It may be the answer to an earlier one that comes back; this one was not sent then.
    const second = this.#try(bytes, address);
    this.#tell(first);
    return second === true;
  }

  override open(): void {
    if (this.#fd === null || this.#early === null) return;
    this.#parts.settle(this.fd);
    const early = this.#early;
    this.#early = null;
    for (const [bytes, to] of early) this.send(bytes, to);
    this.watch(this.fd);
  }

  override close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  #try(bytes: Uint8Array, address: SocketAddress | null): boolean | SysError {
    try {
      return sendDatagram(this.fd, bytes, address);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.code !== "EDESTADDRREQ" && error.code !== "ENOTCONN") return error;
      throw new TypeError(`Cannot send from "${this.name}": it is not connected, and was not told where to`);
    }
  }

  /** Receives what is there, up to a limit. Answers whether something was there. */
  protected override receive(): boolean {
    let received = 0;
    let errors = 0;
    while (received < BATCH && errors < 2 && this.isOn) {
      try {
        const datagram = receiveDatagram(this.fd, this.#sized);
        if (datagram === null) break;
        received++;
        this.#deliver(datagram.bytes, datagramAddressOf(datagram.from));
      } catch (error) {
        if (!(error instanceof SysError) || error.syscall !== "recvmsg") throw error;
        errors++;
        this.#tell(error);
      }
    }
    if (received + errors === 0 && this.isOn) dropErrors(this.fd);
    return received > 0 || errors === 1;
  }

  #deliver(bytes: Uint8Array<ArrayBuffer>, from: DatagramAddress | null): void {
    this.await(this.#parts.handlers.message(bytes, from, this));
  }

  #tell(error: SysError): void {
    this.#parts.handlers.error?.(error, this);
  }

  async #close(): Promise<void> {
    const fd = this.#fd;
    this.#parts.drop();
    this.closeOwing();
    const ended = this.unwatch();
    this.#fd = null;
    await ended;
    fd?.[Symbol.dispose]();
  }
}
