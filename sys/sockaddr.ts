/**
 * Socket addresses: `struct sockaddr` in bytes, and in text. Pure.
 *
 * Happy path: `encodeSockaddr({ family: "inet", host: "127.0.0.1", port: 80 })` is what bind(2) takes, and
 * {@linkcode decodeSockaddr} reads what getsockname(2) gives.
 *
 * Unhappy path: a host that is no numeric address, a port beyond 65535, a path that does not fit: `RangeError` with the
 * value. Names are never looked up.
 *
 * The layout is the same on x86-64 and aarch64: the family in host order, ports and IP addresses in network order.
 *
 * @module
 */

import { formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from "./ip.ts";
import { decodeText, encodeText } from "./text.ts";

/** Address of a socket. `unnamed` is a unix socket that is not bound. */
export type SocketAddress =
  | { family: "inet"; host: string; port: number }
  | { family: "inet6"; host: string; port: number; scope?: number }
  | { family: "unix"; path: string }
  | { family: "abstract"; name: string }
  | { family: "unnamed" };

/** `AF_UNIX`. */
export const AF_UNIX = 1;
/** `AF_INET`. */
export const AF_INET = 2;
/** `AF_INET6`. */
export const AF_INET6 = 10;

/** Room in `sun_path` of `struct sockaddr_un`. */
const UNIX_PATH_BYTES = 108;

/**
 * Writes a `struct sockaddr` of the length that bind(2) and connect(2) shall be told.
 *
 * @param address the address
 * @returns the structure
 * @throws {RangeError} if the host is no numeric address of its family, a number is out of range, or a path or a name is
 * empty, too long (108 and 107 bytes) or a path contains a NUL
 */
export function encodeSockaddr(address: SocketAddress): Uint8Array<ArrayBuffer> {
  switch (address.family) {
    case "inet": {
      const bytes = start(AF_INET, 16);
      setPort(bytes, address.port);
      bytes.set(parseIPv4(address.host), 4);
      return bytes;
    }
    case "inet6": {
      const bytes = start(AF_INET6, 28);
      setPort(bytes, address.port);
      bytes.set(parseIPv6(address.host), 8);
      new DataView(bytes.buffer).setUint32(24, checkRange(address.scope ?? 0, 0xffffffff, "scope"), true);
      return bytes;
    }
    case "unix": {
      const path = encodeText(address.path);
      if (path.length === 0 || path.length > UNIX_PATH_BYTES || path.includes(0)) {
        throw new RangeError(
          `Cannot encode unix path ${
            JSON.stringify(address.path)
          }: not 1 to ${UNIX_PATH_BYTES} bytes without a NUL`,
        );
      }
      // A path that fills the field has no terminator.
      const bytes = start(AF_UNIX, 2 + Math.min(path.length + 1, UNIX_PATH_BYTES));
      bytes.set(path, 2);
      return bytes;
    }
    case "abstract": {
      const name = encodeText(address.name);
      if (name.length === 0 || name.length >= UNIX_PATH_BYTES) {
        throw new RangeError(
          `Cannot encode abstract name ${JSON.stringify(address.name)}: not 1 to ${
            UNIX_PATH_BYTES - 1
          } bytes`,
        );
      }
      const bytes = start(AF_UNIX, 3 + name.length);
      bytes.set(name, 3);
      return bytes;
    }
    case "unnamed":
      return start(AF_UNIX, 2);
  }
}

/**
 * Reads a `struct sockaddr`.
 *
 * @param bytes the structure, cut to the length that the kernel gave
 * @returns the address
 * @throws {RangeError} if it is too short for its family, or the family is none of these
 */
export function decodeSockaddr(bytes: Uint8Array): SocketAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = bytes.byteLength < 2 ? -1 : view.getUint16(0, true);
  if (family === AF_INET && bytes.byteLength >= 16) {
    return { family: "inet", host: formatIPv4(bytes.subarray(4, 8)), port: view.getUint16(2) };
  }
  if (family === AF_INET6 && bytes.byteLength >= 28) {
    const host = formatIPv6(bytes.subarray(8, 24));
    const port = view.getUint16(2);
    const scope = view.getUint32(24, true);
    return scope === 0 ? { family: "inet6", host, port } : { family: "inet6", host, port, scope };
  }
  if (family === AF_UNIX) return decodeUnix(bytes.subarray(2));
  throw new RangeError(`Cannot decode a socket address: family ${family} in ${bytes.byteLength} bytes`);
}

function decodeUnix(name: Uint8Array): SocketAddress {
  if (name.length === 0) return { family: "unnamed" };
  if (name[0] === 0) return { family: "abstract", name: decodeText(name.subarray(1)) };
  const nul = name.indexOf(0);
  return { family: "unix", path: decodeText(nul < 0 ? name : name.subarray(0, nul)) };
}

/**
 * Writes an address for people: `127.0.0.1:80`, `[::1]:80`, `[fe80::1%2]:80`, `unix:/path`, `unix:@name`, and `unix:` for
 * one without a name.
 *
 * @param address the address
 * @returns the text
 */
export function formatAddress(address: SocketAddress): string {
  switch (address.family) {
    case "inet":
      return `${address.host}:${address.port}`;
    case "inet6":
      return `[${address.host}${address.scope ? `%${address.scope}` : ""}]:${address.port}`;
    case "unix":
      return `unix:${address.path}`;
    case "abstract":
      return `unix:@${address.name}`;
    case "unnamed":
      return "unix:";
  }
}

function start(family: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint16(0, family, true);
  return bytes;
}

function setPort(bytes: Uint8Array<ArrayBuffer>, port: number): void {
  new DataView(bytes.buffer).setUint16(2, checkRange(port, 0xffff, "port"));
}

function checkRange(value: number, highest: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > highest) {
    throw new RangeError(`Cannot encode ${what} ${value}: not a number from 0 to ${highest}`);
  }
  return value;
}
