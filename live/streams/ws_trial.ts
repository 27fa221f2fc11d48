/**
 * Does a version of the `ws` package do what is relied upon here? Tried before the first client comes, on a stream that
 * leads nowhere: its public interface may be the same and its behaviour another one.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";

import { type Handshakes, unheard } from "./handshakes.ts";

/** Two empty messages of a client, in one piece. */
const TWO_MESSAGES = [0x81, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0];

const PROTOCOL = "trial";

/**
 * Tries a package.
 *
 * @param handshakes what makes WebSockets of it
 * @throws {TypeError} if it does not do
 */
export function tryPackage(handshakes: Handshakes): void {
  let sent = 0;
  const stream = new Nowhere({
    read: () => {},
    write(_chunk, _encoding, done) {
      sent++;
      done();
    },
  });
  const faults: string[] = [];
  try {
    const socket = handshakes.repeat(stream, PROTOCOL);
    let heard = 0;
    socket.on("message", () => heard++);
    stream.emit("data", Buffer.from(TWO_MESSAGES));
    if (heard !== 2) faults.push("it keeps a message for a later turn");
    if (socket.protocol !== PROTOCOL) faults.push("it does not choose the protocol that was offered");
    if (socket.inMessage !== false) faults.push("it does not extend the class that it is given");
    unheard(stream, () => socket.close());
    if (!socket.saidClose || socket.readyState !== 2) faults.push("it does not begin to close");
    if (sent > 0) faults.push("it sends what nobody is to hear");
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  } finally {
    stream.destroy();
  }
  if (faults.length === 0) return;
  throw new TypeError(
    `Cannot use WebSockets: this version of the ws package does not do, 8.16 or newer is needed: ${
      faults.join(", ")
    }`,
  );
}

/** What the package expects of a socket. */
class Nowhere extends Duplex {
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }
}
