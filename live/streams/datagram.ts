/**
 * `live.datagram`: UDP and unix datagrams for applications that speak their own protocol.
 *
 * Happy path: a socket of that name that was handed over is taken back with what waits in it, or a new one is bound.
 *
 * Unhappy paths: a socket that was handed over and has another address than the one wanted now is given up, and a new one
 * is bound. Whatever else this build wants to be different, such as the peer, is changed only when the tap opens: a
 * build that comes back finds the socket as it left it.
 *
 * @module
 */
import {
  connectSocket,
  getpeername,
  setIntOption,
  SOCKET_OPTIONS,
  type SocketAddress,
} from "../../sys/mod.ts";
import { disconnectSocket } from "../../sys/network.ts";
import { satisfies } from "../address.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { OverduePolicy } from "../port.ts";
import { take } from "../take.ts";
import { takeover } from "../takeover.ts";
import { bindDatagram, type DatagramAddress, isBoundTo, socketAddressFrom } from "./datagram_address.ts";
import { type DatagramHandlers, DatagramPort, type DatagramSocket } from "./datagram_socket.ts";

/** How a datagram socket is made and carried, and what is done with datagrams. */
export interface DatagramOptions extends DatagramHandlers {
  /**
   * What happens to handlers whose promise is not settled when quiescing has taken too long: `refuse` the update, or
   * `close`: the update goes on without them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
  /** Exchanges datagrams with this address only, and learns when nobody is there. */
  connect?: DatagramAddress;
  /** May it send to broadcast addresses? @default {false} */
  broadcast?: boolean;
  /**
   * Room for what waits to be received (`SO_RCVBUF`), which is also what an update can carry; the kernel doubles it for its
   * own book-keeping and caps it at `net.core.rmem_max`. @default {the system's `net.core.rmem_default`}
   */
  receiveBufferBytes?: number;
  /** Room for what waits to be sent (`SO_SNDBUF`). @default {the system's `net.core.wmem_default`} */
  sendBufferBytes?: number;
}

/**
 * Takes back a datagram socket, or makes one.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param address where to receive; port 0 takes a free one
 * @param options what is done with datagrams
 * @returns the socket; nothing is received before the application is ready
 * @throws {LuoError} `EEXIST`, `EINVAL`
 * @throws {SysError} `EADDRINUSE` and what else bind(2) and connect(2) answer
 * @throws {RangeError} an address that is none, or a size that is none
 */
export async function openDatagram(
  life: Pick<Lifecycle, "addPort" | "removePort" | "resources">,
  name: string,
  address: DatagramAddress,
  options: DatagramOptions,
): Promise<DatagramSocket> {
  const wanted = socketAddressFrom(address);
  const peer = options.connect === undefined ? null : socketAddressFrom(options.connect);
  const { resources } = life;
  const make = () => {
    const socket = bindDatagram(wanted, (fd) => setOptions(fd, options));
    if (peer !== null) setPeer(socket.fd, peer);
    return socket;
  };
  const parts = { name, address, handlers: options, overdue: options.overdue ?? "refuse" } as const;
  let socket = await take(resources, name, "datagram", make);
  if (takeover.check !== null) {
    socket[Symbol.dispose]();
    return new DatagramPort({ ...parts, fd: null, settle() {}, drop: () => resources.drop(name) });
  }
  if (!isBoundTo(socket.fd, wanted)) {
    resources.drop(name);
    socket[Symbol.dispose]();
    socket = await take(resources, name, "datagram", make);
  }
  const port: DatagramPort = new DatagramPort({
    ...parts,
    fd: socket,
    settle(fd) {
      setOptions(fd, options);
      setPeer(fd, peer);
    },
    drop() {
      resources.drop(name);
      // Who closes all of them is going through the list just now.
      queueMicrotask(() => life.removePort(port));
    },
  });
  life.addPort(port);
  return port;
}

function setOptions(fd: number, options: DatagramOptions): void {
  const { broadcast, receiveBufferBytes, sendBufferBytes } = options;
  if (broadcast !== undefined) setIntOption(fd, ...SOCKET_OPTIONS.BROADCAST, broadcast ? 1 : 0);
  if (receiveBufferBytes !== undefined) setIntOption(fd, ...SOCKET_OPTIONS.RCVBUF, receiveBufferBytes);
  if (sendBufferBytes !== undefined) setIntOption(fd, ...SOCKET_OPTIONS.SNDBUF, sendBufferBytes);
}

/** Connecting again to the same peer would do no harm to UDP, but a unix socket would lose what waits in it. */
function setPeer(fd: number, peer: SocketAddress | null): void {
  const current = getpeername(fd);
  if (current === null && peer === null) return;
  if (peer === null) return disconnectSocket(fd);
  if (current === null || !satisfies(current, peer)) connectSocket(fd, peer);
}
