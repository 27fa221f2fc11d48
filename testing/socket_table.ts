/**
 * Which socket is behind an inode number, from the tables of `/proc/PID/net`. A descriptor's link in `/proc` says only
 * `socket:[12345]`, and inode numbers mean nothing to a reader; the tables tell kind, addresses and whether it listens.
 *
 * The tables are those of the network namespace of the process. They are a view of a moment: a socket that comes or goes
 * while they are read may be missing, and so may be kinds that have no table, such as vsock.
 *
 * @module
 */

/** The socket kinds of the `Type` column of `/proc/net/unix`. */
const UNIX_TYPES: Readonly<Record<string, string>> = {
  "0001": "stream",
  "0002": "datagram",
  "0005": "seqpacket",
};

/** The flag of a unix socket that listens, and the state of a TCP socket that does. */
const UNIX_LISTENING = 0x10000;
const TCP_LISTEN = "0A";

/**
 * Describes the sockets of the network namespace of a process.
 *
 * @param pid The process whose view to take.
 * @returns A description for each inode number: `tcp 127.0.0.1:80 listening`, `tcp 127.0.0.1:80 to 127.0.0.1:4711`,
 * `udp [::1]:53`, `unix stream /run/x.sock listening`, `unix stream @name connected`, `unix seqpacket unnamed`.
 */
export function socketTable(pid: number): Map<string, string> {
  const table = new Map<string, string>();
  for (const kind of ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"]) {
    for (const row of rows(pid, kind)) {
      const [, local = "", remote = "", state = ""] = row;
      const inode = row[9];
      if (inode === undefined || inode === "0") continue;
      table.set(inode, describeInet(kind.replace("6", ""), local, remote, state));
    }
  }
  for (const row of rows(pid, "unix")) {
    const inode = row[6];
    if (inode !== undefined) table.set(inode, describeUnix(row));
  }
  for (const row of rows(pid, "netlink")) {
    const inode = row[9];
    if (inode !== undefined) table.set(inode, "netlink");
  }
  return table;
}

/** The rows of a table without its head, in columns; none where the kernel has no such table. */
function rows(pid: number, kind: string): string[][] {
  try {
    const lines = Deno.readTextFileSync(`/proc/${pid}/net/${kind}`).trimEnd().split("\n").slice(1);
    return lines.map((line) => line.trimStart().split(/ +/));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function describeInet(kind: string, local: string, remote: string, state: string): string {
  const here = formatEndpoint(local);
  if (kind === "tcp" && state === TCP_LISTEN) return `tcp ${here} listening`;
  return /:0000$/.test(remote) ? `${kind} ${here}` : `${kind} ${here} to ${formatEndpoint(remote)}`;
}

function describeUnix(row: string[]): string {
  const type = UNIX_TYPES[row[4] ?? ""] ?? `type ${row[4]}`;
  // A path may hold spaces; it is the last column.
  const path = row.slice(7).join(" ");
  if (path === "") return `unix ${type} unnamed`;
  if ((Number.parseInt(row[3] ?? "0", 16) & UNIX_LISTENING) !== 0) return `unix ${type} ${path} listening`;
  return `unix ${type} ${path}${type === "datagram" ? "" : " connected"}`;
}

/**
 * An address and port as the kernel's tables print them: 32-bit words in the byte order of the machine, which is little
 * endian on both architectures that Heirloom runs on.
 *
 * @param text For example `0100007F:1F90`.
 * @returns For example `127.0.0.1:8080`, or `[::1]:8080`.
 */
export function formatEndpoint(text: string): string {
  const [address = "", port = ""] = text.split(":");
  const bytes: number[] = [];
  for (let at = 0; at < address.length; at += 8) {
    for (let byte = 6; byte >= 0; byte -= 2) {
      bytes.push(Number.parseInt(address.slice(at + byte, at + byte + 2), 16));
    }
  }
  const host = bytes.length === 4 ? bytes.join(".") : formatInet6(bytes);
  return `${host}:${Number.parseInt(port, 16)}`;
}

function formatInet6(bytes: number[]): string {
  const groups = Array.from(
    { length: 8 },
    (_, at) => ((bytes[2 * at]! << 8) | bytes[2 * at + 1]!).toString(16),
  );
  return new URL(`http://[${groups.join(":")}]`).hostname;
}
