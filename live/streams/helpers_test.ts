/** Connections for the tests of this folder. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

import { waitFor } from "../../testing/mod.ts";
import { type OwnedFd, read, setIntOption, SOCKET_OPTIONS, SysError } from "../../sys/mod.ts";
import { duplicateOf } from "../http/connection_set.ts";
import { handleOf } from "../http/runtime.ts";
import { connectSocket, createSocket, sendNow, shutdownSocket } from "../../sys/socket.ts";

/** The other end of a connection: reads and writes when the test says so, and at no other time. */
export class Peer implements Disposable {
  readonly fd: OwnedFd;

  constructor(fd: OwnedFd) {
    this.fd = fd;
  }

  /** All bytes that are there, up to a limit; null at the end of the connection. */
  readSome(limit = 64 * 1024): Uint8Array | null {
    const buffer = new Uint8Array(limit);
    try {
      const count = read(this.fd.fd, buffer);
      return count === 0 ? null : buffer.slice(0, count);
    } catch (error) {
      if (error instanceof SysError && error.code === "EAGAIN") return new Uint8Array();
      throw error;
    }
  }

  /** Reads until so many bytes have come, or the connection ends. */
  async readBytes(count: number): Promise<Uint8Array> {
    const all = new Uint8Array(count);
    let at = 0;
    await waitFor(() => {
      for (;;) {
        const bytes = at === count ? null : this.readSome(count - at);
        if (bytes === null) return true;
        if (bytes.byteLength === 0) return false;
        all.set(bytes, at);
        at += bytes.byteLength;
      }
    }, { what: `${count} bytes, ${at} have come`, intervalMs: 1 });
    return all.subarray(0, at);
  }

  /** Reads to the end of the connection. */
  async readAll(): Promise<Uint8Array> {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    await waitFor(() => {
      for (;;) {
        const bytes = this.readSome();
        if (bytes === null) return true;
        if (bytes.byteLength === 0) return false;
        chunks.push(new Uint8Array(bytes));
      }
    }, { what: "the end of the connection", intervalMs: 1 });
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  }

  /** Sends bytes that the kernel has room for. */
  write(bytes: Uint8Array | string): void {
    const all = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    if (sendNow(this.fd.fd, all) !== all.byteLength) throw new Error("Cannot write: the buffer is full");
  }

  /** Says that nothing more comes from here. */
  finish(): void {
    shutdownSocket(this.fd.fd, "write");
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}

/** A connection: the server's end as the runtime gives it, the client's as a descriptor. */
export class Pair implements AsyncDisposable {
  readonly socket: Socket;
  readonly peer: Peer;
  readonly #server: Server;

  constructor(socket: Socket, peer: Peer, server: Server) {
    this.socket = socket;
    this.peer = peer;
    this.#server = server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    this.peer[Symbol.dispose]();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** How a connection is made. */
export interface PairOptions {
  /** TCP or unix. */
  unix?: boolean;
  /** Buffers as small as the kernel makes them. */
  small?: boolean;
}

/** Makes a connection. */
export async function connect(options: PairOptions = {}): Promise<Pair> {
  using dir = options.unix ? tempDirSync() : null;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false });
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => {
    if (dir !== null) server.listen(`${dir.path}/socket`, resolve);
    else server.listen(0, "127.0.0.1", resolve);
  });
  const fd = createSocket(dir === null ? "inet" : "unix", "stream");
  // The receive window is settled when the connection is made.
  if (options.small) setIntOption(fd.fd, ...SOCKET_OPTIONS.RCVBUF, 4096);
  connectSocket(
    fd.fd,
    dir === null
      ? { family: "inet", host: "127.0.0.1", port: (server.address() as AddressInfo).port }
      : { family: "unix", path: `${dir.path}/socket` },
  );
  const socket = await accepted;
  if (options.small) {
    using own = duplicateOf(handleOf(socket)!);
    setIntOption(own.fd, ...SOCKET_OPTIONS.SNDBUF, 4096);
  }
  return new Pair(socket, new Peer(fd), server);
}

function tempDirSync(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync();
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** Bytes of which each one tells where it belongs. */
export function pattern(from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    const at = from + index;
    bytes[index] = (at ^ (at >> 8) ^ (at >> 16)) & 0xff;
  }
  return bytes;
}

/** Where bytes stop being the pattern, or -1. */
export function firstWrong(bytes: Uint8Array, from = 0): number {
  const right = pattern(from, bytes.byteLength);
  return bytes.findIndex((byte, index) => byte !== right[index]);
}

/** Numbers that look random and are the same in each run. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

export { waitFor };
