/**
 * Datagrams: receive and send one at a time, whole, without waiting (`recvmsg(2)`, `sendmsg(2)`).
 *
 * Happy path: {@linkcode receiveDatagram} until it answers null, {@linkcode sendDatagram} to where one came from. What
 * nobody has received waits in the socket, where it survives an exec.
 *
 * Unhappy paths:
 * 1. Nothing is there: null. There is no room to send: false. Both are no errors.
 * 2. An earlier datagram was answered by "nobody is there": the next call on a connected socket is ECONNREFUSED, once, and
 *    has then neither received nor sent anything.
 * 3. The socket's receive buffer (`SO_RCVBUF`) is full: the kernel drops what comes over the network, silently; the sender
 *    over a unix socket waits, or gets EAGAIN.
 *
 * Descriptors that a peer sends along (`SCM_RIGHTS`) are closed by the kernel, because nobody here asks for them.
 *
 * @module
 */

import { check, ERRNO, SysError } from "./errno.ts";
import { AF_UNIX, decodeSockaddr, encodeSockaddr, formatAddress, type SocketAddress } from "./sockaddr.ts";
import { bindSocket, getsockname } from "./socket.ts";
import { getIntOption, SOCKET_OPTIONS } from "./socket_options.ts";
import { call, lastErrno } from "./symbols.ts";

const MSG_PEEK = 0x2;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_ERRQUEUE = 0x2000;

/** Where things are in the one buffer of a message: `struct msghdr`, its only `struct iovec`, the address, the data. */
const IOV_AT = 56;
const NAME_AT = 72;
const NAME_BYTES = 128;
const DATA_AT = NAME_AT + NAME_BYTES;

/** More than UDP can have in one datagram; those of unix sockets may be larger. */
const USUAL_BYTES = 65_536;

/** `struct sockaddr` of no family (`AF_UNSPEC`). */
const NO_ADDRESS = 16;

/** One datagram. */
export interface Datagram {
  /** Its data; there may be none. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Who sent it; `unnamed` for a unix socket that is not bound. */
  readonly from: SocketAddress;
}

/**
 * Receives one datagram.
 *
 * @param fd a datagram socket
 * @param sized ask for the size first, which takes another call: needed for unix sockets, whose datagrams may have any
 * size ({@linkcode isUnixSocket})
 * @returns the datagram, or null when none is there
 * @throws {SysError} ECONNREFUSED and other errors that an earlier datagram has met; EBADF, ENOTSOCK
 */
export function receiveDatagram(fd: number, sized = false): Datagram | null {
  if (sized) {
    const size = receive(fd, inbox, MSG_PEEK | MSG_TRUNC);
    if (size === null) return null;
    if (size > inbox.capacity) inbox = new Message(size);
  }
  const size = receive(fd, inbox, 0);
  return size === null ? null : { bytes: inbox.data.slice(0, size), from: inbox.takeName() };
}

/**
 * Sends one datagram, whole or not at all.
 *
 * @param fd a datagram socket
 * @param bytes its data; there may be none
 * @param to who is to get it; null for whom the socket is connected to
 * @returns true when the kernel has it; false when it has no room now
 * @throws {SysError} EMSGSIZE if it is too large; ECONNREFUSED, ENOENT, ENETUNREACH, EACCES, EDESTADDRREQ, …
 * @throws {RangeError} if the address is malformed
 */
export function sendDatagram(fd: number, bytes: Uint8Array, to: SocketAddress | null): boolean {
  if (bytes.byteLength > outbox.capacity) outbox = new Message(bytes.byteLength);
  outbox.put(bytes, to === null ? null : encodeSockaddr(to));
  for (;;) {
    if (call.sendmsg(fd, outbox.header, MSG_DONTWAIT | MSG_NOSIGNAL) !== -1) return true;
    const errno = lastErrno();
    if (errno === ERRNO.EINTR) continue;
    // The queue of the socket, or of the peer; the queue of the interface.
    if (errno === ERRNO.EAGAIN || errno === ERRNO.ENOBUFS) return false;
    throw new SysError("sendmsg", errno, to === null ? `fd ${fd}` : `fd ${fd} to ${formatAddress(to)}`);
  }
}

/**
 * Throws away what the kernel has to say about datagrams that were sent (`MSG_ERRQUEUE`, with `IP_RECVERR` or
 * timestamps). Until then the socket counts as one that something happens on.
 *
 * @param fd a datagram socket
 */
export function dropErrors(fd: number): void {
  for (;;) {
    inbox.expect();
    if (call.recvmsg(fd, inbox.header, MSG_ERRQUEUE | MSG_DONTWAIT) === -1) return;
  }
}

/**
 * Lets a connected datagram socket exchange datagrams with everyone again. It keeps its port, also one that the kernel
 * had chosen, which it takes away here.
 *
 * @param fd a datagram socket, connected or not
 * @throws {SysError} EBADF, ENOTSOCK; EADDRINUSE if somebody took the port in between
 */
export function disconnectSocket(fd: number): void {
  const before = getsockname(fd);
  check(call.connect(fd, new Uint8Array(NO_ADDRESS), NO_ADDRESS), "connect", `fd ${fd} to nobody`);
  const after = getsockname(fd);
  if ("port" in before && "port" in after && before.port !== after.port) {
    bindSocket(fd, { ...after, port: before.port });
  }
}

/**
 * Is this a unix socket?
 *
 * @param fd a socket
 * @returns whether its domain is `AF_UNIX`
 * @throws {SysError} EBADF, ENOTSOCK
 */
export function isUnixSocket(fd: number): boolean {
  return getIntOption(fd, ...SOCKET_OPTIONS.DOMAIN) === AF_UNIX;
}

/** The size of a datagram, which with MSG_TRUNC may be more than there is room for; null without one. */
function receive(fd: number, message: Message, flags: number): number | null {
  for (;;) {
    message.expect();
    const size = call.recvmsg(fd, message.header, flags | MSG_DONTWAIT);
    if (size !== -1) {
      if (flags !== 0 || (message.flags & MSG_TRUNC) === 0) return size;
      throw new SysError("recvmsg", ERRNO.EMSGSIZE, `fd ${fd}`);
    }
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN) return null;
    if (errno !== ERRNO.EINTR) throw new SysError("recvmsg", errno, `fd ${fd}`);
  }
}

/** A `struct msghdr` and all that it points to, in one buffer that never moves. */
class Message {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly capacity: number;
  readonly #view: DataView<ArrayBuffer>;
  readonly #name: bigint;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.header = new Uint8Array(new ArrayBuffer(DATA_AT + capacity));
    this.data = this.header.subarray(DATA_AT);
    this.#view = new DataView(this.header.buffer);
    const base = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.header)));
    this.#name = base + BigInt(NAME_AT);
    this.#view.setBigUint64(16, base + BigInt(IOV_AT), true);
    this.#view.setBigUint64(24, 1n, true);
    this.#view.setBigUint64(IOV_AT, base + BigInt(DATA_AT), true);
  }

  /** `msg_flags`, as the kernel left them. */
  get flags(): number {
    return this.#view.getInt32(48, true);
  }

  /** Makes room for an address and as many bytes as there can be. */
  expect(): void {
    this.#setName(NAME_BYTES);
    this.#setLength(this.capacity);
  }

  /** What is to be sent, and to whom. */
  put(bytes: Uint8Array, name: Uint8Array | null): void {
    this.data.set(bytes);
    this.#setLength(bytes.byteLength);
    if (name !== null) this.header.set(name, NAME_AT);
    this.#setName(name?.byteLength ?? 0);
  }

  takeName(): SocketAddress {
    const length = this.#view.getUint32(8, true);
    // A unix socket that is not bound has no address, not even a family.
    if (length < 2) return { family: "unnamed" };
    return decodeSockaddr(this.header.subarray(NAME_AT, NAME_AT + Math.min(length, NAME_BYTES)));
  }

  #setName(length: number): void {
    this.#view.setBigUint64(0, length === 0 ? 0n : this.#name, true);
    this.#view.setUint32(8, length, true);
  }

  #setLength(length: number): void {
    this.#view.setUint32(IOV_AT + 8, length, true);
  }
}

// Every call is over before the next one begins, so one of each is enough for all sockets.
let inbox = new Message(USUAL_BYTES);
let outbox = new Message(USUAL_BYTES);
