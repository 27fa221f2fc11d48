/**
 * `stream-v1`: a connected stream socket, TCP or unix.
 *
 * Preserved:
 * - the connection with what waits in the kernel's queues, both ways, and all socket options
 * - bytes that the application has read and not dealt with, or wants to write and the kernel has not taken, if it hands
 *   them over with {@linkcode keepBytes}
 *
 * Not preserved:
 * - such bytes that nobody hands over
 * - a TLS session, whose keys live in user space
 *
 * Taken with: `live.serve`, `live.server`, `live.listen`, `live.webSockets`, `live.eventStreams`.
 *
 * While the handover holds a duplicate, closing a descriptor does not end the connection: use `shutdown(2)`.
 *
 * A service has thousands of connections, and nearly all of them have nothing to say but which descriptor they are. So that
 * number is all that is written down of them; a blob is written only where there are bytes. Whether the descriptor is the
 * connection that it was, the handover checks itself (inode and cookie).
 *
 * @module
 */
import { fstat, getIntOption, type OwnedFd, SOCKET_OPTIONS, socketCookie } from "../sys/mod.ts";
import type { FileHandler, IncomingArgs } from "../luo/handler.ts";
import { decodeRecord, encodeRecord, recordVersion } from "./record.ts";

/** `SOCK_STREAM`. */
const STREAM = 1;

/** Below this, the data of a file is the number of its descriptor; from here on, this and the handle of a blob. */
const FIRST_BLOB = 1n << 32n;

const VERSION = 1;

/** Bytes of a connection that are not with the kernel. */
export interface StreamBytes {
  /** What was read and not dealt with. */
  input: Uint8Array;
  /** What is to be written before anything else. */
  output: Uint8Array;
}

/** What crosses with connections, and what has crossed, by cookie. */
const kept = new Map<bigint, StreamBytes>();
const arrived = new Map<bigint, StreamBytes>();

/**
 * Hands over bytes with a connection. What is said last before the update counts.
 *
 * @param fd the connection, borrowed; any duplicate of it
 * @param bytes what has to cross, or null to take it back
 * @throws {SysError} `EBADF`, `ENOTSOCK`
 */
export function keepBytes(fd: number | OwnedFd, bytes: StreamBytes | null): void {
  const cookie = socketCookie(numberOf(fd));
  if (bytes === null) kept.delete(cookie);
  else kept.set(cookie, bytes);
}

/**
 * Takes back the bytes that were handed over with a connection, once.
 *
 * @param fd the connection, retrieved before
 * @returns the bytes, or null where there were none
 * @throws {SysError} `EBADF`, `ENOTSOCK`
 */
export function takeBytes(fd: number | OwnedFd): StreamBytes | null {
  const cookie = socketCookie(numberOf(fd));
  const bytes = arrived.get(cookie) ?? null;
  arrived.delete(cookie);
  return bytes;
}

/** Carries connected stream sockets. A peer that has left does not make one unknown. */
export const streamHandler: FileHandler = {
  compatible: "stream-v1",
  version: VERSION,
  check({ serializedData, kho }) {
    if (serializedData < FIRST_BLOB) return undefined;
    const bytes = kho.blob(serializedData - FIRST_BLOB);
    const version = recordVersion(bytes, "stream-v1");
    if (version === VERSION) decodeRecord(bytes, "stream-v1", VERSION).int("fd");
    return version;
  },
  canPreserve: ({ fd }) => isStream(fd),
  preserve(args) {
    args.kho.preserveFd(args.fd);
    args.serializedData = BigInt(args.fd);
  },
  unpreserve({ kho, fd, serializedData }) {
    if (serializedData >= FIRST_BLOB) kho.unpreserveBlob(serializedData - FIRST_BLOB);
    kho.unpreserveFd(fd);
  },
  freeze(args) {
    const bytes = kept.size === 0 ? undefined : kept.get(socketCookie(args.fd));
    if (bytes === undefined && args.serializedData < FIRST_BLOB) return;
    const blob = encodeRecord(VERSION, {
      fd: args.fd,
      input: bytes?.input ?? new Uint8Array(),
      output: bytes?.output ?? new Uint8Array(),
    });
    // The blob of an update that did not happen is used again.
    if (args.serializedData >= FIRST_BLOB) args.kho.replaceBlob(args.serializedData - FIRST_BLOB, blob);
    else args.serializedData = FIRST_BLOB + args.kho.preserveBlob(blob);
  },
  retrieve(args) {
    const { fd, bytes } = read(args);
    const number = args.kho.borrowFd(fd);
    if (bytes !== null) arrived.set(socketCookie(number), bytes);
    return number;
  },
  finish(args) {
    if (typeof args.retrieveStatus === "number") args.kho.releaseFd(read(args).fd);
  },
};

function isStream(fd: number): boolean {
  return fstat(fd).kind === "socket" && getIntOption(fd, ...SOCKET_OPTIONS.TYPE) === STREAM &&
    getIntOption(fd, ...SOCKET_OPTIONS.ACCEPTCONN) === 0;
}

function read({ serializedData, kho }: IncomingArgs): { fd: number; bytes: StreamBytes | null } {
  if (serializedData < FIRST_BLOB) return { fd: Number(serializedData), bytes: null };
  const record = decodeRecord(kho.blob(serializedData - FIRST_BLOB), "stream-v1", VERSION);
  return { fd: record.int("fd"), bytes: { input: record.bytes("input"), output: record.bytes("output") } };
}

function numberOf(fd: number | OwnedFd): number {
  return typeof fd === "number" ? fd : fd.fd;
}
