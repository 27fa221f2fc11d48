/**
 * The values of flags: whole numbers, seconds, addresses, paths of sockets. Strict, for a value that is half
 * understood is worse than a refused one: no signs, no exponents, no leading zeroes, no blanks.
 *
 * Happy path: each function gives the value in the unit the program uses.
 *
 * Unhappy path: a {@linkcode UsageError} names the flag, quotes the value and says what is allowed.
 *
 * @module
 */

import { UsageError } from "./args_error.ts";

/** The longest path of a unix socket in bytes: `sun_path` has 108, the last for the NUL, see unix(7). */
export const MAX_SOCKET_PATH_BYTES = 107;

/** The longest timeout in seconds. */
export const MAX_TIMEOUT_SECONDS = 3600;

const MAX_PORT = 65_535;

/** Where HTTP is served. */
export type HttpAddress =
  | {
    /** A host name or an IP address, an IPv6 one without brackets. */
    readonly hostname: string;
    /** 0 to 65535; 0 is any free port. */
    readonly port: number;
  }
  | {
    /** The absolute path of a unix socket. */
    readonly path: string;
  };

/**
 * Reads a whole number.
 *
 * @param flag the flag, with its dashes.
 * @param text its value.
 * @returns 1 to 2^53 - 1.
 * @throws {UsageError} when it is anything else.
 */
export function parseCount(flag: string, text: string): number {
  const value = /^[1-9][0-9]*$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw bad(flag, text, `a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, in plain decimal digits`);
}

/**
 * Reads seconds.
 *
 * @param flag the flag, with its dashes.
 * @param text its value, with at most three decimals.
 * @returns milliseconds, 1 to 3600000.
 * @throws {UsageError} when it is anything else.
 */
export function parseSeconds(flag: string, text: string): number {
  const [, whole, part = ""] = /^(0|[1-9][0-9]*)(?:\.([0-9]{1,3}))?$/.exec(text) ?? [];
  const value = whole === undefined ? NaN : Number(whole) * 1000 + Number(part.padEnd(3, "0"));
  if (value > 0 && value <= MAX_TIMEOUT_SECONDS * 1000) return value;
  throw bad(flag, text, `seconds above 0 and at most ${MAX_TIMEOUT_SECONDS}, with at most three decimals`);
}

/**
 * Reads a path or another text that must not be empty.
 *
 * @param flag the flag, with its dashes.
 * @param text its value.
 * @returns the text.
 * @throws {UsageError} when it is empty.
 */
export function parseText(flag: string, text: string): string {
  if (text !== "") return text;
  throw bad(flag, text, "a value that is not empty");
}

/**
 * Reads the path of a unix socket.
 *
 * @param source the flag or the variable it comes from.
 * @param text its value.
 * @returns the path.
 * @throws {UsageError} when it is empty or longer than 107 bytes.
 */
export function parseSocketPath(source: string, text: string): string {
  const length = new TextEncoder().encode(text).byteLength;
  if (length > 0 && length <= MAX_SOCKET_PATH_BYTES) return text;
  const state = length === 0 ? "it is empty" : `it has ${length} bytes`;
  const rule = `a path of 1 to ${MAX_SOCKET_PATH_BYTES} bytes`;
  throw new UsageError(`Cannot use ${source} ${quote(text)} for a socket: ${state}; allowed: ${rule}`);
}

/**
 * Reads an address.
 *
 * @param flag the flag, with its dashes.
 * @param text `HOST:PORT`, `[IPV6]:PORT` or `unix:/PATH`.
 * @returns the address.
 * @throws {UsageError} when it is anything else.
 */
export function parseAddress(flag: string, text: string): HttpAddress {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (!path.startsWith("/")) throw bad(flag, text, "unix: with an absolute path, as unix:/run/app.sock");
    return { path: parseSocketPath(flag, path) };
  }
  const [, bracketed, bare, digits = ""] = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]+)$/.exec(text) ?? [];
  const hostname = bracketed ?? bare ?? "";
  const valid = bracketed === undefined ? isHostName(hostname) : isIpv6(hostname);
  const port = /^(0|[1-9][0-9]*)$/.test(digits) ? Number(digits) : NaN;
  if (valid && port <= MAX_PORT) return { hostname, port };
  throw bad(flag, text, `HOST:PORT, [IPV6]:PORT or unix:/PATH, with a port from 0 to ${MAX_PORT}`);
}

/**
 * The control socket when no flag names one.
 *
 * @param env the environment.
 * @returns `$HEIRLOOM_SOCKET`, else `$XDG_RUNTIME_DIR/heirloom/control.sock`, else `/run/heirloom/control.sock`. An
 * empty variable counts as unset, and so does a relative `XDG_RUNTIME_DIR`, as the XDG base directory specification
 * asks.
 * @throws {UsageError} when the path is longer than 107 bytes.
 */
export function defaultSocket(env: Readonly<Record<string, string | undefined>>): string {
  const { HEIRLOOM_SOCKET: socket, XDG_RUNTIME_DIR: runtime } = env;
  if (socket) return parseSocketPath("$HEIRLOOM_SOCKET", socket);
  if (runtime?.startsWith("/")) {
    return parseSocketPath("$XDG_RUNTIME_DIR", `${runtime.replace(/\/+$/, "")}/heirloom/control.sock`);
  }
  return "/run/heirloom/control.sock";
}

/** A name of labels as in RFC 1123, and with the underscore that containers' names have; what looks like an IPv4 address must be one, in full. */
function isHostName(text: string): boolean {
  if (/^[0-9.]+$/.test(text)) {
    const parts = text.split(".");
    return parts.length === 4 &&
      parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255);
  }
  return text.length <= 253 &&
    text.split(".").every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

/** `URL` knows the grammar of IPv6 addresses; only its characters are let through to it. */
function isIpv6(text: string): boolean {
  return /^[0-9a-f:.]+$/i.test(text) && URL.canParse(`http://[${text}]/`);
}

function bad(flag: string, text: string, rule: string): UsageError {
  return new UsageError(`Cannot use ${flag} ${quote(text)}: allowed is ${rule}`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
