/**
 * Descriptors in messages between processes (`SCM_RIGHTS`, unix(7)).
 *
 * Happy path: `const [ours, theirs] = socketPair();`, {@linkcode sendFds} at one end, {@linkcode receiveFds} at the other.
 * What was sent lies in the socket and outlives its sender. Messages keep their borders and their order.
 *
 * Unhappy paths:
 * 1. The other end is gone: EPIPE for who sends, `null` for who receives, once everything that was sent is read.
 * 2. The queue is full: EAGAIN. Too many descriptors of one user lie unread in sockets: ETOOMANYREFS, except for root.
 * 3. The receiver has no numbers left: the kernel drops descriptors and only sets a flag. Then all of the message is
 *    closed and the error is EMFILE: half of a message is of no use.
 *
 * @module
 */

import { check, checkRetrying, ERRNO, SysError } from "./errno.ts";
import { OwnedFd } from "./owned_fd.ts";
import { call, lastErrno } from "./symbols.ts";

/** The most descriptors that one message can carry (`SCM_MAX_FD` of the kernel). */
export const MAX_FDS_PER_MESSAGE = 253;

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** Where things are in the one buffer of a message: `struct msghdr`, its only `struct iovec`, control data, data. */
const IOV_AT = 56;
const CONTROL_AT = 72;
/** `struct cmsghdr` without its data. */
const CMSG_HEADER = 16;

/**
 * Makes a pair of connected sockets that keep the borders of messages (`SOCK_SEQPACKET`), blocking and close-on-exec.
 *
 * @returns both ends
 * @throws {SysError} EMFILE, ENFILE
 */
export function socketPair(): [OwnedFd, OwnedFd] {
  const fds = new Int32Array(2);
  check(call.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), "socketpair");
  const [a, b] = fds;
  return [OwnedFd.adopt(a ?? -1), OwnedFd.adopt(b ?? -1)];
}

/**
 * Sends one message, whole or not at all, without waiting and without SIGPIPE.
 *
 * @param socket a seqpacket socket
 * @param bytes the data; at least one byte, because an empty message looks like the end
 * @param fds descriptors to send duplicates of, borrowed; at most {@linkcode MAX_FDS_PER_MESSAGE}
 * @throws {SysError} EAGAIN, EPIPE, ETOOMANYREFS, EBADF, EMSGSIZE
 * @throws {RangeError} for no bytes or too many descriptors
 */
export function sendFds(socket: number, bytes: Uint8Array, fds: readonly number[]): void {
  if (bytes.byteLength === 0) throw new RangeError(`Cannot send over fd ${socket}: the message has no bytes`);
  if (fds.length > MAX_FDS_PER_MESSAGE) {
    throw new RangeError(
      `Cannot send over fd ${socket}: ${fds.length} descriptors, at most ${MAX_FDS_PER_MESSAGE}`,
    );
  }
  const message = new Message(fds.length, bytes.byteLength);
  message.data.set(bytes);
  message.putFds(fds);
  checkRetrying(() => call.sendmsg(socket, message.header, MSG_DONTWAIT | MSG_NOSIGNAL), "sendmsg", socket);
}

/** How to receive. */
export interface ReceiveOptions {
  /** Wait for a message, for ever if need be. @default {false} */
  wait?: boolean;
  /** The most bytes that a message may have. @default {4096} */
  capacity?: number;
}

/** One message. */
export interface ReceivedMessage {
  /** Its data. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Its descriptors, close-on-exec, the caller's. */
  fds: OwnedFd[];
}

/**
 * Receives one message.
 *
 * @param socket a seqpacket socket
 * @param options whether to wait, and for how large a message
 * @returns the message, or null when the other end is gone and everything is read
 * @throws {SysError} EAGAIN when nothing is there; EMFILE when the descriptors did not fit into the table of this
 * process; EMSGSIZE when the bytes did not fit; the message is lost then, and its descriptors are closed
 */
export function receiveFds(socket: number, options: ReceiveOptions = {}): ReceivedMessage | null {
  const { wait = false, capacity = 4096 } = options;
  const message = new Message(MAX_FDS_PER_MESSAGE, capacity);
  const flags = MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT);
  // ECONNRESET says, once, that the other end went away and left something of ours unread. What it had sent is
  // still here, and behind it the end.
  const length = checkRetrying(
    () => {
      const result = call.recvmsg(socket, message.header, flags);
      return result === -1 && lastErrno() === ERRNO.ECONNRESET
        ? call.recvmsg(socket, message.header, flags)
        : result;
    },
    "recvmsg",
    socket,
  );
  if (length === 0) return null;
  const fds = message.takeFds();
  if ((message.flags & (MSG_CTRUNC | MSG_TRUNC)) === 0) return { bytes: message.data.slice(0, length), fds };
  for (const fd of fds) fd[Symbol.dispose]();
  const errno = message.flags & MSG_CTRUNC ? ERRNO.EMFILE : ERRNO.EMSGSIZE;
  throw new SysError("recvmsg", errno, `fd ${socket}`);
}

/** A `struct msghdr` and all that it points to, in one buffer: so nothing can move or be collected before the call. */
class Message {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  constructor(fdCount: number, size: number) {
    // CMSG_SPACE of cmsg(3).
    const control = fdCount === 0 ? 0 : CMSG_HEADER + align(fdCount * 4);
    this.header = new Uint8Array(new ArrayBuffer(CONTROL_AT + control + size));
    this.data = this.header.subarray(CONTROL_AT + control);
    this.#view = new DataView(this.header.buffer);
    const base = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.header)));
    this.#putLong(16, base + BigInt(IOV_AT));
    this.#putLong(24, 1n);
    if (control > 0) this.#putLong(32, base + BigInt(CONTROL_AT));
    this.#putLong(40, BigInt(control));
    this.#putLong(IOV_AT, base + BigInt(CONTROL_AT + control));
    this.#putLong(IOV_AT + 8, BigInt(size));
  }

  /** `msg_flags`, as the kernel left them. */
  get flags(): number {
    return this.#view.getInt32(48, true);
  }

  putFds(fds: readonly number[]): void {
    if (fds.length === 0) return;
    this.#putLong(CONTROL_AT, BigInt(CMSG_HEADER + fds.length * 4));
    this.#view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true);
    this.#view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true);
    fds.forEach((fd, index) => this.#view.setInt32(CONTROL_AT + CMSG_HEADER + index * 4, fd, true));
  }

  takeFds(): OwnedFd[] {
    const fds: OwnedFd[] = [];
    const end = CONTROL_AT + Number(this.#view.getBigUint64(40, true));
    for (let at = CONTROL_AT; at + CMSG_HEADER <= end;) {
      const length = Number(this.#view.getBigUint64(at, true));
      if (length < CMSG_HEADER) break;
      const isRights = this.#view.getInt32(at + 8, true) === SOL_SOCKET &&
        this.#view.getInt32(at + 12, true) === SCM_RIGHTS;
      for (let fdAt = at + CMSG_HEADER; isRights && fdAt + 4 <= at + length; fdAt += 4) {
        fds.push(OwnedFd.adopt(this.#view.getInt32(fdAt, true)));
      }
      at += align(length);
    }
    return fds;
  }

  #putLong(at: number, value: bigint): void {
    this.#view.setBigUint64(at, value, true);
  }
}

function align(length: number): number {
  return (length + 7) & ~7;
}
